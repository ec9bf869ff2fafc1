/** RAM as Linux finds it. */

import { assert, assertEquals } from "@std/assert";
import type { BootFiles } from "../../src/boot/boot_files.ts";
import { askGuest, linuxRequirement, packedBootFiles } from "../support/linux_guest.ts";

const KIB = 1024;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** RAM below 4 GiB ends here. */
const HOLE = 0xd000_0000;
const HOLE_END = 4 * GIB;
/** The PC's reserved end of the first MiB, which RAM lies behind too. */
const EBDA = 0x9_fc00;
const FIRST_MIB = 0x10_0000;
/** The first page, which Linux never uses. */
const ZERO_PAGE = 4 * KIB;

/** The kernel's own text and data, and where there is RAM above 4 GiB its bounce buffers. */
const KERNEL_MIB = 100;
const BOUNCE_MIB = 64;
/** What a kernel keeps of each page, 64 bytes of 4096, and some more. */
const PER_PAGE = 0.02;

/** A range of the memory map, its end included as Linux prints it. */
interface Range {
  readonly start: number;
  readonly end: number;
  readonly type: string;
}

const SIZES = [
  ["128 MiB", 128 * MIB],
  ["512 MiB", 512 * MIB],
  ["3327 MiB", 3327 * MIB],
  ["3328 MiB", 3328 * MIB],
  ["3329 MiB", 3329 * MIB],
  ["4 GiB", 4 * GIB],
  ["5 GiB", 5 * GIB],
  ["8 GiB", 8 * GIB],
] as const;

const [, HALF, BELOW, AT, ABOVE, , , EIGHT] = SIZES;
/** The sizes that decide how a kernel is told of its RAM. */
const SIZES_OF_BZIMAGE = [HALF, BELOW, AT, ABOVE, EIGHT];

for (const [name, memory] of SIZES) {
  Deno.test(
    `Linux finds all of ${name} around the hole (rows 0.19, 1.24, 1.25, 3.24)`,
    linuxRequirement(),
    () => checkMemory(memory),
  );
}

for (const [name, memory] of SIZES_OF_BZIMAGE) {
  Deno.test(
    `Linux finds all of ${name} as a bzImage too (row 3.24)`,
    linuxRequirement(),
    async () => await checkMemory(memory, await packedBootFiles()),
  );
}

/** Boots a machine of so many bytes and compares what its kernel finds. */
async function checkMemory(memory: number, kernel?: BootFiles): Promise<void> {
  const output = await askGuest({
    command: "dmesg | grep BIOS-e820; cat /proc/iomem /proc/meminfo",
    config: { memory },
    ...(kernel && { kernel }),
  });
  const e820 = parseE820(output);
  const ram = e820.filter(({ type }) => type === "usable");
  assertEquals(ram, expectedRam(memory));
  assertEquals(totalSize(ram) + FIRST_MIB - EBDA, memory);
  assert(isReserved(e820, HOLE), "the first device's window is not reserved in e820");

  const systemRam = parseIomem(output).filter(({ type }) => type === "System RAM");
  assertEquals(totalSize(systemRam), totalSize(ram) - ZERO_PAGE);

  const used = memory - memTotal(output);
  const most = KERNEL_MIB * MIB + (memory > HOLE ? BOUNCE_MIB * MIB : 0) + memory * PER_PAGE;
  assert(used > 0 && used < most, `the kernel keeps ${used} bytes for itself`);
}

Deno.test(
  "Linux finds 64 GiB up to their last page (rows 0.19, 3.24)",
  linuxRequirement(),
  async () => {
    const memory = 64 * GIB;
    const end = HOLE_END + memory - HOLE;
    const [last, beyond] = [end - 8, end].map((address) => `devmem 0x${address.toString(16)} 64`);
    const output = await askGuest({
      command: `dmesg | grep BIOS-e820; ${last} 0x1122334455667788; ${last}; ${beyond}`,
      config: { memory },
      // A kernel that uses them all writes a GiB of page structures first, which takes minutes in the rig.
      parameters: "mem=512M",
    });
    const ram = parseE820(output).filter(({ type }) => type === "usable");
    assertEquals(ram, expectedRam(memory));
    assertEquals(output.trimEnd().split("\n").slice(-2), [
      "0x1122334455667788",
      "0xFFFFFFFFFFFFFFFF",
    ]);
  },
);

function expectedRam(memory: number): Range[] {
  const low = [
    { start: 0, end: EBDA - 1, type: "usable" },
    { start: FIRST_MIB, end: Math.min(memory, HOLE) - 1, type: "usable" },
  ];
  if (memory <= HOLE) return low;
  return [...low, { start: HOLE_END, end: HOLE_END + memory - HOLE - 1, type: "usable" }];
}

function totalSize(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end + 1 - start, 0);
}

function isReserved(ranges: readonly Range[], address: number): boolean {
  return ranges.some(({ start, end, type }) =>
    type === "reserved" && start <= address && address <= end
  );
}

/** Lines of the kernel's log: `BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable`. */
function parseE820(text: string): Range[] {
  const lines = text.matchAll(/BIOS-e820: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] (.+)/g);
  return Array.from(lines, ([, start, end, type]) => toRange(start, end, type));
}

/** Top-level lines of /proc/iomem: `00100000-cfffffff : System RAM`. */
function parseIomem(text: string): Range[] {
  const lines = text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) : (.+)$/gm);
  return Array.from(lines, ([, start, end, type]) => toRange(start, end, type));
}

function toRange(start = "", end = "", type = ""): Range {
  return { start: parseInt(start, 16), end: parseInt(end, 16), type };
}

function memTotal(meminfo: string): number {
  return Number(/^MemTotal: +(\d+) kB$/m.exec(meminfo)?.[1]) * KIB;
}
