/**
 * One call of `deno test`, on this machine or in the rig, judged by its report.
 *
 * @module
 */
import { parseSkip, type Skip } from "../support/require.ts";
import { say } from "../support/progress.ts";
import { type Ended, Heartbeat, linesTo, type Outputs } from "./command.ts";
import { parseJunit } from "./junit.ts";
import { explainSkips, type Part, type Place, type TestResult } from "./result.ts";

/** A place where `deno test` can be called. */
export interface TestHost {
  readonly place: Place;
  /** Version of the Deno there. */
  readonly deno: string;
  /** Runs Deno with these arguments. */
  run(args: readonly string[], bound: number, outputs: Outputs): Promise<Ended>;
  /** A path for the report, the same there and here. */
  readonly report: string;
}

/** What to test. */
export interface TestPart {
  readonly title: string;
  /** Paths below the project; each has to hold a test. */
  readonly files: readonly string[];
  /** Milliseconds. */
  readonly bound: number;
  /** Prints only what is no plain success. */
  readonly terse?: boolean;
  /** Put before each line where several parts print at once. */
  readonly prefix?: string;
}

/** Runs the files and gives every test's outcome; nothing that goes wrong is lost. */
export async function runTests(host: TestHost, part: TestPart): Promise<Part> {
  const skips: Skip[] = [];
  const print = (line: string): void => say(`${part.prefix ?? ""}${line}`);
  const outputs = linesTo((line) => {
    const skip = parseSkip(line);
    if (skip !== undefined) skips.push(skip);
    else if (!part.terse || !/ \.\.\. (ok|ignored) \(|^$|^running \d+ tests? from /.test(line)) {
      heartbeat.beat();
      print(line);
    }
  });
  // deno test names a test at its start, and ends the line with its outcome.
  const where = (): string => `${part.title} ${outputs.stdout.pending}`.trim();
  using heartbeat = new Heartbeat(where, print);
  // What an earlier call has left there says nothing about this one.
  await Deno.writeTextFile(host.report, "");
  const ended = await host.run(testArguments(host, part), part.bound, outputs);
  const report = await Deno.readTextFile(host.report);
  return judge(host, part, ended, report === "" ? undefined : report, skips);
}

/** A part that could not run at all here: it counts as one skipped test. */
export function skippedPart(title: string, deno: string, reason: string): Part {
  const test: TestResult = {
    file: "tests",
    name: title,
    line: 0,
    outcome: "skipped",
    seconds: 0,
    why: "",
  };
  const skipped = [{ test, reason }];
  return { title, place: "host", deno, tests: [test], skipped, problems: [] };
}

/** Turns what a call of `deno test` left behind into a {@linkcode Part}. */
export function judge(
  host: Pick<TestHost, "place" | "deno">,
  part: Pick<TestPart, "title" | "files">,
  ended: Ended,
  report: string | undefined,
  skips: readonly Skip[],
): Part {
  const tests = report === undefined ? [] : parseJunit(report);
  const skipped = explainSkips(tests, skips);
  const problems = [
    ...endProblems(ended, report, tests),
    ...part.files.filter((file) =>
      report !== undefined && !tests.some((test) => test.file === file)
    )
      .map((file) => `${file}: no test of it is in the report`),
    ...skipped.filter((one) => one.reason === undefined)
      .map(({ test }) => `${test.file}: "${test.name}" is ignored without a reason`),
  ];
  const { place, deno } = host;
  return { title: part.title, place, deno, tests, skipped, problems };
}

function testArguments(host: TestHost, part: TestPart): string[] {
  return ["test", "-A", "--no-check", `--junit-path=${host.report}`, ...part.files];
}

function endProblems(
  ended: Ended,
  report: string | undefined,
  tests: readonly TestResult[],
): string[] {
  if (ended.problem !== undefined) return [`deno test: ${ended.problem}`];
  if (report === undefined) return [`deno test ended with status ${ended.code} and no report`];
  if (ended.code !== 0 && !tests.some((test) => test.outcome === "failed")) {
    return [`deno test ended with status ${ended.code}, though no test failed`];
  }
  return [];
}
