/**
 * Puts a Linux bzImage into guest memory by the 64-bit boot protocol (Documentation/arch/x86/boot.rst). The plan is pure
 * and says which part of which file goes where, so that the files can be read straight into guest memory.
 *
 * @module
 */

import {
  boot_e820_entry,
  boot_params,
  E820_MAX_ENTRIES_ZEROPAGE,
  ENTRY_64_OFFSET,
  LOADER_TYPE_UNDEFINED,
  setup_header,
} from "../abi/boot.ts";
import {
  COMMAND_LINE_ADDRESS,
  KERNEL_ADDRESS,
  PAGE_SIZE,
  type RamRegion,
  ZERO_PAGE_ADDRESS,
} from "../arch/x86_64/layout.ts";
import { identityPageTables } from "../arch/x86_64/page_tables.ts";
import type { Placement } from "../arch/x86_64/placement.ts";
import { bootGdt, type EntryState, linux64Entry } from "../arch/x86_64/registers.ts";
import { VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { type BzImage, refuse } from "./bzimage.ts";
import { encodeCommandLine } from "./command_line.ts";
import { type E820Entry, e820Map, type ReservedRange } from "./e820.ts";
import { initrdAddress } from "./initrd.ts";

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
}

/** A part of a file and where in guest memory it goes. */
export interface FileRange {
  readonly offset: number;
  readonly length: number;
  readonly address: number;
}

/** Everything to be done before vCPU 0 can run. */
export interface LinuxPlan {
  /** To be read from the kernel's file. */
  readonly kernel: FileRange;
  /** To be read from the initrd's file. */
  readonly initrd?: FileRange;
  /** To be written: zero page, command line, page tables, GDT. */
  readonly placements: readonly Placement[];
  /** What vCPU 0 starts with. */
  readonly entry: EntryState;
  /** The memory map that the kernel is told. */
  readonly e820: readonly E820Entry[];
}

/**
 * Plans a boot.
 *
 * @throws VireoError `load_memory` where RAM, initrd and command line don't fit the kernel
 */
export function planLinux(image: BzImage, options: LinuxOptions): LinuxPlan {
  const ramEnd = options.ram[0]?.size ?? 0;
  const kernel = { offset: image.kernelOffset, length: image.kernelSize, address: KERNEL_ADDRESS };
  const floor = kernelEnd(image, ramEnd);
  const initrd = planInitrd(image, options, { floor, ramEnd });
  const commandLine = encodeCommandLine(options.commandLine, image);
  const e820 = e820Map(options.ram, options.reserved);
  const entry = linux64Entry(KERNEL_ADDRESS + ENTRY_64_OFFSET, ZERO_PAGE_ADDRESS);
  return {
    kernel,
    ...(initrd && { initrd }),
    placements: [
      zeroPage(image, { initrd, e820, rsdpAddress: options.rsdpAddress ?? 0 }),
      { address: COMMAND_LINE_ADDRESS, bytes: commandLine },
      identityPageTables(),
      bootGdt(entry.special),
    ],
    entry,
    e820,
  };
}

/** First address that the kernel needs neither as a file nor while it unpacks itself. */
function kernelEnd(image: BzImage, ramEnd: number): number {
  const aligned = Math.ceil(KERNEL_ADDRESS / image.alignment) * image.alignment;
  const start = image.relocatable
    ? Math.max(aligned, image.preferredAddress)
    : image.preferredAddress;
  const end = Math.max(KERNEL_ADDRESS + image.kernelSize, start + image.initSize);
  if (end > ramEnd) {
    throw refuse(
      image.name,
      `it needs RAM up to 0x${end.toString(16)} to unpack itself and there are 0x${
        ramEnd.toString(16)
      } bytes below the hole; give the machine at least ${Math.ceil(end / 2 ** 20)} MiB`,
    );
  }
  return Math.ceil(end / PAGE_SIZE) * PAGE_SIZE;
}

function planInitrd(
  image: BzImage,
  { initrdSize: length = 0 }: LinuxOptions,
  bounds: { readonly floor: number; readonly ramEnd: number },
): FileRange | undefined {
  if (length === 0) return undefined;
  const address = initrdAddress({ ...bounds, size: length, addressMax: image.initrdAddressMax });
  return { offset: 0, length, address };
}

/** `struct boot_params`, with the kernel's own header in its place. */
function zeroPage(image: BzImage, facts: {
  readonly initrd: FileRange | undefined;
  readonly e820: readonly E820Entry[];
  readonly rsdpAddress: number;
}): Placement {
  const bytes = new Uint8Array(sizeof(boot_params));
  const view = new DataView(bytes.buffer);
  bytes.set(image.header, boot_params.hdr);
  view.setUint8(boot_params.hdr + setup_header.type_of_loader, LOADER_TYPE_UNDEFINED);
  view.setUint32(boot_params.hdr + setup_header.cmd_line_ptr, COMMAND_LINE_ADDRESS, true);
  view.setUint32(boot_params.hdr + setup_header.ramdisk_image, facts.initrd?.address ?? 0, true);
  view.setUint32(boot_params.hdr + setup_header.ramdisk_size, facts.initrd?.length ?? 0, true);
  view.setBigUint64(boot_params.acpi_rsdp_addr, BigInt(facts.rsdpAddress), true);
  writeE820(view, facts.e820);
  return { address: ZERO_PAGE_ADDRESS, bytes };
}

function writeE820(view: DataView, map: readonly E820Entry[]): void {
  if (map.length > E820_MAX_ENTRIES_ZEROPAGE) {
    throw new VireoError(
      "load_memory",
      `Cannot tell the kernel of ${map.length} memory ranges: ` +
        `boot_params has room for ${E820_MAX_ENTRIES_ZEROPAGE}; allocate fewer separate regions`,
    );
  }
  view.setUint8(boot_params.e820_entries, map.length);
  map.forEach(({ address, size, type }, i) => {
    const at = boot_params.e820_table + i * sizeof(boot_e820_entry);
    view.setBigUint64(at + boot_e820_entry.addr, BigInt(address), true);
    view.setBigUint64(at + boot_e820_entry.size, BigInt(size), true);
    view.setUint32(at + boot_e820_entry.type, type, true);
  });
}
