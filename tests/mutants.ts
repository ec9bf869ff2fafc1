/**
 * Whether the tests notice what they are there for, `deno task mutants`: each row breaks one line of the source in a copy of the
 * project, and the test that it names must turn red there and be green without it. With names only those rows run.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { fromFileUrl, join } from "@std/path";
import { linesTo, runCommand } from "./runner/command.ts";
import { parseJunit } from "./runner/junit.ts";
import type { Outcome } from "./runner/result.ts";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./mutants_table.ts";
import { say } from "./support/progress.ts";

const PROJECT = fromFileUrl(new URL("../", import.meta.url));
const COPIED = ["deno.json", "deno.lock", "src", "tests"];
/** A mutant may make a test hang, which is red as well. */
const BOUND_MS = 60_000;
const CAUGHT = "caught";

if (import.meta.main) {
  const names = parseArgs(Deno.args)._.map(String);
  const unknown = names.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
  if (unknown.length > 0) {
    say(`No mutant is called ${unknown.join(", ")}; there are:`);
    for (const { name } of MUTANTS) say(`  ${name}`);
    Deno.exit(2);
  }
  Deno.exitCode = await hunt(
    MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name)),
  );
}

/** Runs the mutants, says what became of each; gives 0 where every one was caught. */
async function hunt(mutants: readonly Mutant[]): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-mutants-" });
  try {
    const copied = COPIED.map((path) => join(PROJECT, path));
    await new Deno.Command("cp", { args: ["-r", ...copied, folder] }).output();
    let survivors = 0;
    for (const mutant of mutants) {
      const verdict = await judge(folder, mutant);
      if (verdict !== CAUGHT) survivors++;
      say(`${mutant.name} ... ${verdict}`);
    }
    say(`\n${mutants.length - survivors} passed, ${survivors} failed`);
    return survivors === 0 ? 0 : 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Breaks the line, runs the test, mends the line. */
async function judge(folder: string, mutant: Mutant): Promise<string> {
  const path = join(folder, mutant.file);
  const source = await Deno.readTextFile(path);
  const parts = source.split(mutant.line);
  if (parts.length !== 2) {
    return `"${mutant.line}" is ${parts.length - 1} times in ${mutant.file}: name one line`;
  }
  const before = await outcome(folder, mutant);
  if (before !== "passed") return `its test is ${before} without it`;
  try {
    await Deno.writeTextFile(path, parts.join(mutant.broken));
    const after = await outcome(folder, mutant);
    return after === "failed" || after === "hung"
      ? CAUGHT
      : `SURVIVED: its test is ${after} with it`;
  } finally {
    await Deno.writeTextFile(path, source);
  }
}

/** What becomes of the mutant's test in the copy as it is. */
async function outcome(folder: string, { test }: Mutant): Promise<Outcome | "hung" | "missing"> {
  const report = join(folder, "report.xml");
  await Deno.writeTextFile(report, "");
  const ended = await runCommand({
    program: Deno.execPath(),
    args: [
      "test",
      "-A",
      "--no-check",
      `--config=${join(folder, "deno.json")}`,
      `--junit-path=${report}`,
      `--filter=${test.name}`,
      join(folder, test.file),
    ],
    bound: BOUND_MS,
    outputs: linesTo(() => {}),
  });
  const results = parseJunit(await Deno.readTextFile(report));
  const named = results.filter(({ name }) => name.includes(test.name));
  if (named.some((result) => result.outcome === "failed")) return "failed";
  if (named.length > 0 && ended.code === 0) return named[0]?.outcome ?? "missing";
  return ended.problem === undefined ? "missing" : "hung";
}
