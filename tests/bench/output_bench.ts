/**
 * 1 MiB of output, beside QEMU's microvm with the same guest as its firmware: through the serial port, byte by byte, from the first
 * to the last that arrives; and through the virtio console into /dev/null, in pieces of a page. Rounds of both alternate.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { compileC } from "../support/c_program.ts";
import { duration } from "../support/progress.ts";
import { requirement } from "../support/require.ts";
import { type Figure, median, printFigures } from "./figures.ts";
import { V8_OPTION_EAGER } from "./v8_option.ts";

/** What was measured of one monitor. */
export interface OutputFigure {
  readonly name: string;
  /** Medians: milliseconds of each part. */
  readonly milliseconds: readonly number[];
}

interface Candidate {
  readonly name: string;
  readonly command: readonly string[];
  /** The bytes whose arrival counts, by number: from the first of them to the second, and so on. */
  readonly counted: readonly number[];
  /** Round by round, what lies between them. */
  readonly rounds: (readonly number[])[];
}

const BYTES = 2 ** 20;
const ROUNDS = { serial: 3, console: 15 } as const;
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
const SERIAL_COUNTED = [1, BYTES];
/** The guest of output_console.S tells of its start and of each MiB's end: the first, for which all is new, and so many more. */
const LATER = 15;
const CONSOLE_COUNTED = [1, 2, 2 + LATER];

/** Measures every monitor that is here, by what the output goes through. */
export async function outputBench(): Promise<Record<"serial" | "console", OutputFigure[]>> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-bench-" });
  try {
    const program = await bundleProgram("tests/bench/output_program.ts", folder);
    const hasQemu = !requirement("qemu").ignore;
    const serial = [ours(program, SERIAL_COUNTED, "serial", String(BYTES))];
    if (hasQemu) serial.push(microvm(SERIAL_COUNTED, await serialFirmware(folder)));
    const console = await consoleCandidates(program, folder, hasQemu);
    const sink = await compileC(new URL("./output_sink.c", import.meta.url), folder);
    return {
      serial: await measureAll(serial, ROUNDS.serial, sink),
      console: await measureAll(console, ROUNDS.console, sink),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measureAll(
  candidates: readonly Candidate[],
  rounds: number,
  sink: string,
): Promise<OutputFigure[]> {
  for (let i = 0; i < rounds; i++) {
    for (const candidate of candidates) candidate.rounds.push(await measure(candidate, sink));
  }
  return candidates.map(({ name, counted, rounds }) => ({
    name,
    milliseconds: counted.slice(1).map((_, part) =>
      median(rounds.map((round) => round[part] ?? NaN))
    ),
  }));
}

function ours(program: string, counted: readonly number[], ...args: readonly string[]): Candidate {
  const deno = [Deno.execPath(), "run", "-A", "--no-check", V8_OPTION_EAGER];
  const command = [...deno, program, ...args];
  return { name: "Vireo", command, counted, rounds: [] };
}

function microvm(
  counted: readonly number[],
  firmware: string,
  ...devices: readonly string[]
): Candidate {
  const machine = ["-M", "microvm,accel=kvm", "-m", "4", "-bios", firmware];
  const plain = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"];
  const command = ["qemu-system-x86_64", ...machine, ...plain, ...devices];
  return { name: "QEMU microvm", command, counted, rounds: [] };
}

async function serialFirmware(folder: string): Promise<string> {
  const path = `${folder}/serial.bin`;
  const firmware = new Uint8Array(FIRMWARE_SIZE);
  const start = RESET_VECTOR - FIRMWARE_CODE.length;
  firmware.set(FIRMWARE_CODE, start);
  // jmp rel8
  firmware.set([0xeb, 256 - 2 - FIRMWARE_CODE.length], RESET_VECTOR);
  await Deno.writeFile(path, firmware);
  return path;
}

async function consoleCandidates(
  program: string,
  folder: string,
  hasQemu: boolean,
): Promise<Candidate[]> {
  const image = await consoleFirmware(folder);
  const candidates = [ours(program, CONSOLE_COUNTED, "console", image, "/dev/null")];
  const devices = [
    ...["-global", "virtio-mmio.force-legacy=false", "-chardev", "file,id=c,path=/dev/null"],
    ...[
      "-device",
      "virtio-serial-device,bus=virtio-mmio-bus.0",
      "-device",
      "virtconsole,chardev=c",
    ],
  ];
  if (hasQemu) candidates.push(microvm(CONSOLE_COUNTED, image, ...devices));
  return candidates;
}

async function consoleFirmware(folder: string): Promise<string> {
  const path = `${folder}/console.bin`;
  const source = new URL("./output_console.S", import.meta.url).pathname;
  const linker = "-Wl,-Ttext=0xffff0000,--oformat=binary,--build-id=none";
  const args = ["-nostdlib", "-static", linker, "-o", path, source];
  const { success, stderr } = await new Deno.Command("gcc", { args }).output();
  if (!success) throw new Error(`gcc ${source}: ${new TextDecoder().decode(stderr)}`);
  return path;
}

/** Milliseconds between the bytes that count. */
async function measure({ command, counted }: Candidate, sink: string): Promise<number[]> {
  const args = [...counted.map(String), "--", ...command];
  const { success, stdout } = await new Deno.Command(sink, { args }).output();
  if (!success) throw new Error(`${command[0]} gave fewer than ${counted.at(-1)} bytes`);
  return new TextDecoder().decode(stdout).trim().split(" ").map((seconds) => Number(seconds) * 1e3);
}

if (import.meta.main && !requirement("kvm", "gcc").ignore) {
  const { serial, console } = await outputBench();
  printFigures([
    ...rows("1 MiB through the serial port", serial, 0, 1),
    ...rows("the first MiB through the virtio console", console, 0, 1),
    ...rows("a later MiB through the virtio console", console, 1, LATER),
  ]);
}

/** A part's figures; it holds so many MiB. */
function rows(
  what: string,
  figures: readonly OutputFigure[],
  part: number,
  size: number,
): Figure[] {
  const times = figures.map(({ milliseconds }) => (milliseconds[part] ?? NaN) / size);
  const all = figures.map(({ name }, index) => ({
    what: `${what}, ${name}`,
    value: duration(times[index] ?? NaN),
  }));
  const [ours, theirs] = times;
  if (ours === undefined || theirs === undefined) return all;
  const ratio = (ours / theirs).toFixed(2);
  return [...all, { what: `${what}, ours by QEMU's`, value: ratio, target: "≤ 1" }];
}
