/**
 * Memory of the monitor beyond the guest's RAM, beside QEMU's microvm: the process as the kernel counts it, without the mappings of
 * RAM. PSS counts a page of the program's own file by its share where other programs of the same file run, this bench among them;
 * RSS counts it whole: between the two lies what a machine takes that is alone.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { type Figure, printFigures } from "./figures.ts";
import { V8_OPTION } from "./v8_option.ts";

/** What was measured of one machine. */
export interface MemoryFigure {
  /** Whose: ours where absent. */
  readonly monitor?: string;
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
const QEMU = "QEMU microvm";
/** Ours by QEMU's, by the number of vCPUs. */
const RATIOS: Readonly<Record<number, number>> = { 1: 1, 2: 1.3 };

/** Measures machines of 1 and 2 vCPUs, before and after start-up's pages are given back. */
export async function memoryBench(): Promise<MemoryFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const program = await bundleProgram("tests/bench/memory_program.ts", folder);
    // The first run fills Deno's cache of compiled code; what compiling takes stays in a process.
    await measure(program, 1);
    const figures: MemoryFigure[] = [];
    for (const cpus of [1, 2]) {
      figures.push(...await measure(program, cpus));
      if (!requirement("qemu").ignore) figures.push(await measureQemu(folder, cpus));
    }
    return figures;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(program: string, cpus: number): Promise<MemoryFigure[]> {
  const flags = ["-A", "--no-check", V8_OPTION];
  const args = ["run", ...flags, program, String(cpus)];
  const command = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" });
  await using child = command.spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const input = child.stdin.getWriter();
  try {
    const ram: readonly Ram[] = JSON.parse((await output.read()).value ?? "[]");
    await settle();
    const isRam = (line: string) => holds(ram, Number.parseInt(line, 16));
    const before = await memoryOf(child.pid, isRam);
    await input.write(new TextEncoder().encode("trim\n"));
    await output.read();
    await settle();
    const after = await memoryOf(child.pid, isRam);
    const target = cpus === 2 ? { target: TARGET } : {};
    return [{ cpus, trimmed: false, ...before }, { cpus, trimmed: true, ...after, ...target }];
  } finally {
    child.kill("SIGKILL");
    await output.cancel();
    await input.abort();
  }
}

/** The same RAM, a firmware that halts, and the chips and the entropy device that ours has. */
async function measureQemu(folder: string, cpus: number): Promise<MemoryFigure> {
  const firmware = `${folder}/firmware.bin`;
  await Deno.writeFile(firmware, haltingFirmware());
  const machine = ["-M", "microvm,accel=kvm,memory-backend=ram", "-smp", `${cpus}`, "-m", "512"];
  const ram = ["-object", "memory-backend-memfd,id=ram,size=512M", "-bios", firmware];
  const plain = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "null"];
  const args = [...machine, ...ram, ...plain, "-device", "virtio-rng-device"];
  const command = new Deno.Command("qemu-system-x86_64", { args, stdout: "null", stderr: "null" });
  await using child = command.spawn();
  try {
    await settle();
    const memory = await memoryOf(child.pid, (line) => line.includes("/memfd:"));
    return { monitor: QEMU, cpus, trimmed: false, ...memory };
  } finally {
    child.kill("SIGKILL");
  }
}

/** `cli; hlt` at the reset vector. */
function haltingFirmware(): Uint8Array {
  const bytes = new Uint8Array(65536);
  bytes.set([0xfa, 0xf4], bytes.length - 16);
  return bytes;
}

function settle(): Promise<void> {
  return pause(SETTLE);
}

/** Sums up /proc/PID/smaps but for RAM, which is told by the line that a mapping begins with. */
async function memoryOf(
  pid: number,
  isRamLine: (line: string) => boolean,
): Promise<{ pss: number; rss: number }> {
  let pss = 0;
  let rss = 0;
  let isRam = false;
  for (const line of (await Deno.readTextFile(`/proc/${pid}/smaps`)).split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isRam = isRamLine(line);
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
  const figures = await memoryBench();
  printFigures([...figures.map(row), ...besideQemu(figures)]);
}

function besideQemu(figures: readonly MemoryFigure[]): Figure[] {
  return Object.entries(RATIOS).flatMap(([cpus, target]) => {
    const own = figures.filter((figure) => figure.cpus === Number(cpus));
    const ours = own.find(({ monitor, trimmed }) => monitor === undefined && trimmed);
    // The second target is told by QEMU's machine of one vCPU, too.
    const theirs = figures.find((figure) => figure.monitor === QEMU && figure.cpus === 1);
    if (ours === undefined || theirs === undefined) return [];
    const what = `memory, ${cpus} vCPU${cpus === "1" ? "" : "s"} by QEMU's of 1 vCPU`;
    const [pss, rss] = [ours.pss / theirs.pss, ours.rss / theirs.rss];
    return [{ what, value: `PSS ${pss.toFixed(2)}, RSS ${rss.toFixed(2)}`, target: `≤ ${target}` }];
  });
}

function row({ monitor, cpus, trimmed, pss, rss, target }: MemoryFigure): Figure {
  const whose = monitor === undefined ? "" : `${monitor}, `;
  const machine = `${whose}${cpus} vCPU${cpus === 1 ? "" : "s"}${trimmed ? ", trimmed" : ""}`;
  return {
    what: `memory beyond guest RAM, ${machine}`,
    value: `PSS ${pss.toFixed(1)} MiB, RSS ${rss.toFixed(1)} MiB`,
    ...(target === undefined ? {} : { target: `PSS ≤ ${target} MiB` }),
  };
}
