/**
 * From the start of the process to the guest's first instruction, measured from outside, beside a C program that does the same
 * ioctls and a `deno run` of an empty file, which is what Deno itself takes. Rounds of all alternate. The median tells of this
 * machine as it is now, the minimum of a quiet one.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { compileC } from "../support/c_program.ts";
import { requirement } from "../support/require.ts";
import { type Figure, median, printFigures } from "./figures.ts";

/** What was measured of one program. */
export interface StartFigure {
  readonly name: string;
  /** Milliseconds from its start to the guest's first instruction, or to its end. */
  readonly median: number;
  readonly minimum: number;
  /** Milliseconds of CPU time until then, all threads together; median. */
  readonly cpu: number;
  /** What the minimum is meant to stay below. */
  readonly target?: number;
  /** Median milliseconds of each phase, measured in runs of their own. */
  readonly phases: Readonly<Record<string, number>>;
}

interface Candidate {
  readonly name: string;
  readonly command: readonly string[];
  readonly target?: number;
  readonly runs: Run[];
}

interface Run {
  readonly milliseconds: number;
  readonly cpu: number;
  readonly phases: Readonly<Record<string, number>>;
}

const ROUNDS = 31;
const PHASE_ROUNDS = 11;
/** Rounds that fill Deno's caches. */
const WARM_UP = 3;
/** Milliseconds between two runs: the kernel takes a machine apart after its process has ended. */
const PAUSE = 50;
const TARGET = 35;

/** Measures every candidate. */
export async function startBench(): Promise<StartFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const launcher = await compileC(new URL("./start_launch.c", import.meta.url), folder);
    const all = await candidates(folder);
    for (let i = -WARM_UP; i < ROUNDS; i++) {
      for (const { command, runs } of all) {
        const run = await launch(launcher, command);
        if (i >= 0) runs.push(run);
      }
    }
    const figures: StartFigure[] = [];
    for (const candidate of all) {
      figures.push(figure(candidate, await phasesOf(launcher, candidate)));
    }
    return figures;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function candidates(folder: string): Promise<Candidate[]> {
  const empty = `${folder}/empty.ts`;
  await Deno.writeTextFile(empty, "export {};\n");
  const reference = await compileC(new URL("./start_reference.c", import.meta.url), folder);
  const bundled = await bundleProgram("tests/bench/start_program.ts", folder);
  const source = new URL("./start_program.ts", import.meta.url).pathname;
  const run = [Deno.execPath(), "run", "-A", "--no-check"];
  return [
    { name: "C, the same ioctls", command: [reference], runs: [] },
    { name: "deno run of an empty file", command: [...run, empty], runs: [] },
    { name: "bundled", command: [...run, bundled], target: TARGET, runs: [] },
    { name: "from sources", command: [...run, source], runs: [] },
  ];
}

/** Runs a program once, when the one before has quite gone; its line comes after what the program itself has printed. */
async function launch(launcher: string, command: readonly string[]): Promise<Run> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  const { success, stdout, stderr } = await new Deno.Command(launcher, { args: [...command] })
    .output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  const [how, ns, cpu, epoch] = (lines.pop() ?? "").split(" ");
  if (!success || (how !== "first" && how !== "end")) {
    throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
  const began = Number(epoch) / 1e6;
  const end = began + Number(ns) / 1e6;
  const [marks] = lines;
  const phases = marks === undefined ? {} : differences(JSON.parse(marks), began, end);
  return { milliseconds: Number(ns) / 1e6, cpu: Number(cpu) / 1e6, phases };
}

/** How long each phase took, the last one up to `end`. */
function differences(
  marks: Readonly<Record<string, number>>,
  began: number,
  end: number,
): Record<string, number> {
  const phases: Record<string, number> = {};
  let last = began;
  for (const [name, time] of [...Object.entries(marks), ["first instruction", end] as const]) {
    phases[name] = time - last;
    last = time;
  }
  return phases;
}

async function phasesOf(
  launcher: string,
  { command }: Candidate,
): Promise<Readonly<Record<string, number>>> {
  const runs: Run[] = [];
  for (let i = 0; i < PHASE_ROUNDS; i++) runs.push(await launch(launcher, [...command, "phases"]));
  const names = Object.keys(runs[0]?.phases ?? {});
  return Object.fromEntries(
    names.map((name) => [name, median(runs.map(({ phases }) => phases[name] ?? NaN))]),
  );
}

function figure(
  { name, runs, target }: Candidate,
  phases: Readonly<Record<string, number>>,
): StartFigure {
  const times = runs.map(({ milliseconds }) => milliseconds);
  return {
    name,
    median: median(times),
    minimum: Math.min(...times),
    cpu: median(runs.map(({ cpu }) => cpu)),
    ...(target === undefined ? {} : { target }),
    phases,
  };
}

if (import.meta.main && !requirement("kvm", "gcc").ignore) {
  printFigures((await startBench()).flatMap(rows));
}

function rows({ name, median, minimum, cpu, target, phases }: StartFigure): Figure[] {
  const what = `start, ${name}`;
  return [
    { what, value: `${median.toFixed(1)} ms` },
    {
      what: `${what}: at best`,
      value: `${minimum.toFixed(1)} ms`,
      ...(target === undefined ? {} : { target: `≤ ${target} ms on a quiet machine` }),
    },
    { what: `${what}: CPU time`, value: `${cpu.toFixed(1)} ms` },
    ...Object.entries(phases).map(([phase, ms]) => ({
      what: `${what}: ${phase}`,
      value: `${ms.toFixed(1)} ms`,
    })),
  ];
}
