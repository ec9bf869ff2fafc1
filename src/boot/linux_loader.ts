/**
 * Puts a kernel into guest memory, by Linux' 64-bit boot protocol (Documentation/arch/x86/boot.rst) or by Xen's PVH protocol
 * (docs/misc/pvh.pandoc). The plan is pure and says which part of which file goes where, so that the files can be read straight
 * into guest memory.
 *
 * @module
 */

import { ENTRY_64_OFFSET } from "../abi/boot.ts";
import {
  COMMAND_LINE_ADDRESS,
  HIGH_MEMORY_ADDRESS,
  KERNEL_ADDRESS,
  PAGE_SIZE,
  PVH_START_INFO_ADDRESS,
  type RamRegion,
  ZERO_PAGE_ADDRESS,
} from "../arch/x86_64/layout.ts";
import { identityPageTables } from "../arch/x86_64/page_tables.ts";
import type { Placement } from "../arch/x86_64/placement.ts";
import { bootGdt, type EntryState, linux64Entry, pvhEntry } from "../arch/x86_64/registers.ts";
import type { BzImage } from "./bzimage.ts";
import { encodeCommandLine } from "./command_line.ts";
import { type E820Entry, e820Map, type ReservedRange } from "./e820.ts";
import { checkEntry, type ElfKernel } from "./elf_kernel.ts";
import { initrdAddress } from "./initrd.ts";
import { refuse } from "./kernel_error.ts";
import type { FileRange } from "./kernel_file.ts";
import type { KernelImage } from "./kernel_image.ts";
import { startInfo } from "./start_info.ts";
import { type Handover, plainHeader, zeroPage } from "./zero_page.ts";

/** How a kernel is entered: by Linux' 64-bit protocol, by PVH, or as its file allows, by PVH where it can. */
export type EntryChoice = "auto" | "linux64" | "pvh";

/** What the kernel is booted with. */
export interface LinuxOptions {
  /** The machine's RAM, ascending; the first region starts at 0. */
  readonly ram: readonly RamRegion[];
  readonly commandLine: string;
  /** Bytes of the initrd; 0 or absent for none. */
  readonly initrdSize?: number;
  /** Address of the ACPI RSDP; absent for a machine without ACPI. */
  readonly rsdpAddress?: number;
  /** Ranges that the kernel must leave alone, besides those of every machine. */
  readonly reserved?: readonly ReservedRange[];
  /** `auto` where absent. */
  readonly entry?: EntryChoice;
}

/** Everything to be done before vCPU 0 can run, besides reading the {@linkcode kernelRanges}. */
export interface LinuxPlan {
  /** To be read from the initrd's file. */
  readonly initrd?: FileRange;
  /** To be written: what the protocol hands over, command line, page tables, GDT. */
  readonly placements: readonly Placement[];
  /** What vCPU 0 starts with. */
  readonly entry: EntryState;
  /** The memory map that the kernel is told. */
  readonly e820: readonly E820Entry[];
}

/** What a kernel needs, whatever its kind. */
interface Needs {
  readonly ranges: readonly FileRange[];
  /** First address that it needs neither as a file nor while it unpacks itself. */
  readonly end: number;
  /** What for, in the error. */
  readonly purpose: string;
  readonly commandLineSize: number;
  readonly initrdAddressMax: number;
  /** Setup header of the 64-bit protocol; absent for PVH. */
  readonly header?: Uint8Array;
  /** Address of the first instruction. */
  readonly entry: number;
}

/**
 * Plans a boot.
 *
 * @throws KernelError where RAM, initrd and command line don't fit the kernel
 */
export function planLinux(image: KernelImage, options: LinuxOptions): LinuxPlan {
  const { name } = image;
  const ramEnd = options.ram[0]?.size ?? 0;
  const needs = needsOf(image, options.entry ?? "auto");
  const floor = kernelFloor(name, needs, ramEnd);
  const initrd = planInitrd(needs, options, { floor, ramEnd });
  const commandLine = encodeCommandLine(options.commandLine, { name, ...needs });
  const e820 = e820Map(options.ram, options.reserved);
  const { entry, placements } = enter(needs, {
    initrd,
    e820,
    rsdpAddress: options.rsdpAddress ?? 0,
  });
  return {
    ...(initrd && { initrd }),
    placements: [...placements, { address: COMMAND_LINE_ADDRESS, bytes: commandLine }],
    entry,
    e820,
  };
}

/**
 * Which part of the kernel's file goes where, which RAM alone decides. What lies between is zero.
 *
 * @param ram the machine's, ascending
 * @param entry how the kernel is entered
 * @throws KernelError where there is too little RAM for it, or the entry is not the file's
 */
export function kernelRanges(
  image: KernelImage,
  ram: readonly RamRegion[],
  entry: EntryChoice = "auto",
): readonly FileRange[] {
  const needs = needsOf(image, entry);
  kernelFloor(image.name, needs, ram[0]?.size ?? 0);
  return needs.ranges;
}

function needsOf(image: KernelImage, entry: EntryChoice): Needs {
  if (image.kind === "elf") return elfNeeds(image, entry);
  if (entry !== "pvh") return bzImageNeeds(image);
  throw refuse(
    image.name,
    "a bzImage has no PVH entry; pass the vmlinux in it, which `vireo kernel unpack` takes out",
  );
}

function bzImageNeeds(image: BzImage): Needs {
  const aligned = Math.ceil(KERNEL_ADDRESS / image.alignment) * image.alignment;
  const start = image.relocatable
    ? Math.max(aligned, image.preferredAddress)
    : image.preferredAddress;
  return {
    ranges: [{ offset: image.kernelOffset, length: image.kernelSize, address: KERNEL_ADDRESS }],
    end: Math.max(KERNEL_ADDRESS + image.kernelSize, start + image.initSize),
    purpose: "to unpack itself",
    commandLineSize: image.commandLineSize,
    initrdAddressMax: image.initrdAddressMax,
    header: image.header,
    entry: KERNEL_ADDRESS + ENTRY_64_OFFSET,
  };
}

/** Linux' COMMAND_LINE_SIZE for x86, without the 0 at the end; the file does not tell it. */
const ELF_COMMAND_LINE_SIZE = 2047;

function elfNeeds(image: ElfKernel, choice: EntryChoice): Needs {
  const { name, segments } = image;
  const first = segments[0]?.address ?? 0;
  if (first < HIGH_MEMORY_ADDRESS) {
    throw refuse(
      name,
      `a segment goes to 0x${first.toString(16)}, below 1 MiB, where the tables lie that it is ` +
        "started with; link it for 1 MiB or more",
    );
  }
  const byPvh = choice === "pvh" || (choice === "auto" && image.pvhEntry !== undefined);
  if (byPvh && image.pvhEntry === undefined) {
    throw refuse(name, "it has no PVH entry (no such ELF note); boot it by the 64-bit entry");
  }
  const entry = byPvh ? image.pvhEntry ?? 0 : image.entry;
  checkEntry(name, segments, entry);
  return {
    ranges: segments.filter(({ length }) => length > 0),
    end: Math.max(...segments.map(({ address, memorySize }) => address + memorySize)),
    purpose: "for its segments",
    commandLineSize: ELF_COMMAND_LINE_SIZE,
    initrdAddressMax: 2 ** 32 - 1,
    ...(byPvh ? {} : { header: plainHeader() }),
    entry,
  };
}

function kernelFloor(name: string, { end, purpose }: Needs, ramEnd: number): number {
  if (end > ramEnd) {
    throw refuse(
      name,
      `it needs RAM up to 0x${end.toString(16)} ${purpose} and there are 0x${
        ramEnd.toString(16)
      } bytes below the hole; give the machine at least ${Math.ceil(end / 2 ** 20)} MiB`,
    );
  }
  return Math.ceil(end / PAGE_SIZE) * PAGE_SIZE;
}

function planInitrd(
  { initrdAddressMax: addressMax }: Needs,
  { initrdSize: length = 0 }: LinuxOptions,
  bounds: { readonly floor: number; readonly ramEnd: number },
): FileRange | undefined {
  if (length === 0) return undefined;
  const address = initrdAddress({ ...bounds, size: length, addressMax });
  return { offset: 0, length, address };
}

/** The first vCPU's state, and what lies in memory for it. */
function enter(
  { header, entry: address }: Needs,
  facts: Handover,
): Pick<LinuxPlan, "entry" | "placements"> {
  if (header === undefined) {
    const entry = pvhEntry(address, PVH_START_INFO_ADDRESS);
    return { entry, placements: [startInfo(facts), bootGdt(entry.special)] };
  }
  const entry = linux64Entry(address, ZERO_PAGE_ADDRESS);
  const placements = [zeroPage(header, facts), identityPageTables(), bootGdt(entry.special)];
  return { entry, placements };
}
