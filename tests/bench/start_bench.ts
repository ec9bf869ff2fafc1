/**
 * From the start of the process to the guest's first instruction, measured from outside, beside QEMU's microvm, a C program that
 * does the same ioctls, and a `deno run` of an empty file, which is what Deno itself takes. Rounds of all alternate. The median
 * tells of this machine as it is now, the minimum of a quiet one.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { compileC } from "../support/c_program.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { type Figure, median, printFigures } from "./figures.ts";
import { V8_OPTION_EAGER } from "./v8_option.ts";

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
  readonly env?: Readonly<Record<string, string>>;
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
/** Rounds that fill Deno's caches, which it writes some time after the start. */
const WARM_UP = 2;
const LINGER = 1500;
/** Milliseconds between two runs: the kernel takes a machine apart after its process has ended. */
const PAUSE = 50;
const TARGET = 35;
const QEMU = "qemu-system-x86_64";
const QEMU_NAME = "QEMU microvm";
const FIRMWARE_SIZE = 65536;
/** `mov dx, 0x510; out dx, al; cli; hlt`. */
const FIRMWARE_CODE = [0xba, 0x10, 0x05, 0xee, 0xfa, 0xf4];

/** Measures every candidate. */
export async function startBench(): Promise<StartFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const launcher = await compileC(new URL("./start_launch.c", import.meta.url), folder);
    const all = await candidates(folder);
    for (const candidate of all) {
      for (let i = 0; i < WARM_UP; i++) await launch(launcher, candidate, { LINGER: `${LINGER}` });
    }
    for (let i = 0; i < ROUNDS; i++) {
      for (const candidate of all) candidate.runs.push(await launch(launcher, candidate));
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
  const eager = [...run, V8_OPTION_EAGER];
  // Deno reads the journal of its code cache at each start, and that grows with all that is run.
  const env = { DENO_DIR: `${folder}/cache` };
  return [
    { name: "C, the same ioctls", command: [reference], runs: [] },
    { name: "deno run of an empty file", command: [...run, empty], env, runs: [] },
    { name: "bundled", command: [...eager, bundled], env, target: TARGET, runs: [] },
    { name: "from sources", command: [...run, source], runs: [] },
    ...requirement("qemu").ignore ? [] : [await microvm(folder)],
  ];
}

/** QEMU's fastest machine, with a firmware that writes one byte to a port at the reset vector. */
async function microvm(folder: string): Promise<Candidate> {
  const firmware = new Uint8Array(FIRMWARE_SIZE);
  firmware.set(FIRMWARE_CODE, FIRMWARE_SIZE - 16);
  await Deno.writeFile(`${folder}/firmware.bin`, firmware);
  const machine = ["-M", "microvm,accel=kvm", "-m", "4", "-bios", `${folder}/firmware.bin`];
  const plain = ["-nodefaults", "-no-user-config", "-display", "none"];
  const port = ["-chardev", "file,id=c,path=/proc/self/fd/9", "-device"];
  const command = [QEMU, ...machine, ...plain, ...port, "isa-debugcon,iobase=0x510,chardev=c"];
  return { name: QEMU_NAME, command, runs: [] };
}

/** Runs a program once, when the one before has quite gone; its line comes after what the program itself has printed. */
async function launch(
  launcher: string,
  { command, env = {} }: Candidate,
  more: Record<string, string> = {},
): Promise<Run> {
  await pause(PAUSE);
  const options = { args: [...command], env: { ...env, ...more } };
  const { success, stdout, stderr } = await new Deno.Command(launcher, options).output();
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
  candidate: Candidate,
): Promise<Readonly<Record<string, number>>> {
  const runs: Run[] = [];
  for (let i = 0; i < PHASE_ROUNDS; i++) {
    runs.push(await launch(launcher, candidate, { PHASES: "1" }));
  }
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
  const figures = await startBench();
  printFigures([...figures.flatMap(rows), ...besideQemu(figures)]);
}

/** Medians of one run: on a machine with neighbours the only thing that holds. */
function besideQemu(figures: readonly StartFigure[]): Figure[] {
  const [ours, theirs] = ["bundled", QEMU_NAME].map((name) =>
    figures.find((figure) => figure.name === name)
  );
  if (ours === undefined || theirs === undefined) return [];
  const ratio = (ours.median / theirs.median).toFixed(2);
  return [{ what: "start, bundled by QEMU microvm", value: ratio, target: "< 1" }];
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
