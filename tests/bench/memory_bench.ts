/**
 * Memory of the monitor beyond the guest's RAM: the process as the kernel counts it, without the mappings of RAM. PSS counts a page
 * of the program's own file by its share where other programs of the same file run, this bench among them; RSS counts it whole.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { requirement } from "../support/require.ts";
import { type Figure, printFigures } from "./figures.ts";

/** What was measured of one machine. */
export interface MemoryFigure {
  readonly cpus: number;
  /** Whether start-up's pages were given back. */
  readonly trimmed: boolean;
  /** MiB beyond guest RAM. */
  readonly pss: number;
  readonly rss: number;
  /** MiB that PSS is meant to stay below. */
  readonly target?: number;
}

interface Ram {
  readonly address: number;
  readonly size: number;
}

/** Milliseconds after the last vCPU's start, for workers that are still coming up. */
const SETTLE = 1500;
const TARGET = 60;

/** Measures machines of 1 and 2 vCPUs, before and after start-up's pages are given back. */
export async function memoryBench(): Promise<MemoryFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const program = await bundleProgram("tests/bench/memory_program.ts", folder);
    const figures: MemoryFigure[] = [];
    for (const cpus of [1, 2]) figures.push(...await measure(program, cpus));
    return figures;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(program: string, cpus: number): Promise<MemoryFigure[]> {
  const args = ["run", "-A", "--no-check", program, String(cpus)];
  const command = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" });
  await using child = command.spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const input = child.stdin.getWriter();
  try {
    const ram: readonly Ram[] = JSON.parse((await output.read()).value ?? "[]");
    await settle();
    const before = await memoryOf(child.pid, ram);
    await input.write(new TextEncoder().encode("trim\n"));
    await output.read();
    await settle();
    const after = await memoryOf(child.pid, ram);
    const target = cpus === 2 ? { target: TARGET } : {};
    return [{ cpus, trimmed: false, ...before }, { cpus, trimmed: true, ...after, ...target }];
  } finally {
    child.kill("SIGKILL");
    await output.cancel();
    await input.abort();
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE));
}

/** Sums up /proc/PID/smaps but for RAM. */
async function memoryOf(pid: number, ram: readonly Ram[]): Promise<{ pss: number; rss: number }> {
  let pss = 0;
  let rss = 0;
  let isRam = false;
  for (const line of (await Deno.readTextFile(`/proc/${pid}/smaps`)).split("\n")) {
    const start = /^([0-9a-f]+)-[0-9a-f]+ /.exec(line)?.[1];
    if (start !== undefined) isRam = holds(ram, Number.parseInt(start, 16));
    else if (!isRam) {
      pss += Number(/^Pss: +(\d+) kB/.exec(line)?.[1] ?? 0);
      rss += Number(/^Rss: +(\d+) kB/.exec(line)?.[1] ?? 0);
    }
  }
  return { pss: pss / 1024, rss: rss / 1024 };
}

function holds(ram: readonly Ram[], start: number): boolean {
  return ram.some(({ address, size }) => start >= address && start < address + size);
}

if (import.meta.main && !requirement("kvm").ignore) {
  printFigures((await memoryBench()).map(row));
}

function row({ cpus, trimmed, pss, rss, target }: MemoryFigure): Figure {
  const machine = `${cpus} vCPU${cpus === 1 ? "" : "s"}${trimmed ? ", trimmed" : ""}`;
  return {
    what: `memory beyond guest RAM, ${machine}`,
    value: `PSS ${pss.toFixed(1)} MiB, RSS ${rss.toFixed(1)} MiB`,
    ...(target === undefined ? {} : { target: `PSS ≤ ${target} MiB` }),
  };
}
