/**
 * 1 MiB through the serial port, byte by byte, from the first to the last that arrives, beside QEMU's microvm with the same loop as
 * its firmware. Rounds of both alternate.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { requirement } from "../support/require.ts";
import { type Figure, median, printFigures } from "./figures.ts";

/** What was measured of one monitor. */
export interface OutputFigure {
  readonly name: string;
  /** Seconds, median. */
  readonly seconds: number;
}

interface Candidate {
  readonly name: string;
  readonly command: readonly string[];
  readonly seconds: number[];
}

const BYTES = 2 ** 20;
const ROUNDS = 3;
const FIRMWARE_SIZE = 65536;
/**
 * Of 16 bits, as ours of 32: `mov dx, 0x3f8; mov al, 'x'; mov ecx, BYTES; again: out dx, al; dec ecx; jnz again; cli; hlt`, and at
 * the reset vector a jump to it.
 */
const FIRMWARE_CODE = [
  ...[0xba, 0xf8, 0x03, 0xb0, 0x78, 0x66, 0xb9, 0x00, 0x00, 0x10, 0x00],
  ...[0xee, 0x66, 0x49, 0x75, 0xfb, 0xfa, 0xf4],
];
const RESET_VECTOR = FIRMWARE_SIZE - 16;

/** Measures every monitor that is here. */
export async function outputBench(): Promise<OutputFigure[]> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const candidates: Candidate[] = [await ours(folder)];
    if (!requirement("qemu").ignore) candidates.push(await microvm(folder));
    for (let i = 0; i < ROUNDS; i++) {
      for (const { command, seconds } of candidates) seconds.push(await measure(command));
    }
    return candidates.map(({ name, seconds }) => ({ name, seconds: median(seconds) }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function ours(folder: string): Promise<Candidate> {
  const program = await bundleProgram("tests/bench/output_program.ts", folder);
  const command = [Deno.execPath(), "run", "-A", "--no-check", program, String(BYTES)];
  return { name: "Vireo", command, seconds: [] };
}

async function microvm(folder: string): Promise<Candidate> {
  const firmware = new Uint8Array(FIRMWARE_SIZE);
  const start = RESET_VECTOR - FIRMWARE_CODE.length;
  firmware.set(FIRMWARE_CODE, start);
  // jmp rel8
  firmware.set([0xeb, 256 - 2 - FIRMWARE_CODE.length], RESET_VECTOR);
  await Deno.writeFile(`${folder}/firmware.bin`, firmware);
  const machine = ["-M", "microvm,accel=kvm", "-m", "4", "-bios", `${folder}/firmware.bin`];
  const plain = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"];
  return {
    name: "QEMU microvm",
    command: ["qemu-system-x86_64", ...machine, ...plain],
    seconds: [],
  };
}

/** Seconds from the first byte to the last. */
async function measure([program = "", ...args]: readonly string[]): Promise<number> {
  const command = new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  await using child = command.spawn();
  let count = 0;
  let began = NaN;
  for await (const chunk of child.stdout) {
    if (count === 0) began = performance.now();
    count += chunk.length;
    if (count >= BYTES) break;
  }
  const seconds = (performance.now() - began) / 1000;
  if (count !== BYTES) throw new Error(`${program} gave ${count} bytes instead of ${BYTES}`);
  return seconds;
}

if (import.meta.main && !requirement("kvm").ignore) {
  const figures = await outputBench();
  printFigures([...figures.map(row), ...besideQemu(figures)]);
}

function row({ name, seconds }: OutputFigure): Figure {
  return { what: `1 MiB through the serial port, ${name}`, value: `${seconds.toFixed(2)} s` };
}

function besideQemu([ours, theirs]: readonly OutputFigure[]): Figure[] {
  if (ours === undefined || theirs === undefined) return [];
  const ratio = (ours.seconds / theirs.seconds).toFixed(2);
  return [{ what: "1 MiB through the serial port, ours by QEMU's", value: ratio, target: "≤ 1" }];
}
