/**
 * The guest's physical memory map and port map: one table, each row with the reason for its place and size. Everything
 * here is a plain number below 2^52, so `address + length` cannot wrap.
 *
 * @module
 */

import { ConfigError, VireoError } from "../../base/errors.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** The size of a page and of every alignment that KVM asks for. */
export const PAGE_SIZE = 4096;

// Low memory, used once at entry and then free for the guest.

/** The boot GDT: at most 8 descriptors, above the BIOS data area that some kernels read. */
export const BOOT_GDT_ADDRESS = 0x500;
/** The boot IDT: empty, there so that its address is a canonical one of ours. */
export const BOOT_IDT_ADDRESS = 0x540;
/** PVH: `hvm_start_info`, its module list and memory map share one page. */
export const PVH_START_INFO_ADDRESS = 0x6000;
/** Linux: `boot_params`, one page by definition. */
export const ZERO_PAGE_ADDRESS = 0x7000;
/** Stack for entry code; grows down, the zero page is a page away. */
export const BOOT_STACK_ADDRESS = 0x8ff0;
/** Identity page tables: PML4, PDPT and four page directories of 2 MiB pages, which map 4 GiB. */
export const PAGE_TABLES_ADDRESS = 0x9000;
/** Six pages, see {@linkcode PAGE_TABLES_ADDRESS}. */
export const PAGE_TABLES_SIZE = 6 * PAGE_SIZE;
/** The kernel's command line. */
export const COMMAND_LINE_ADDRESS = 0x20000;
/** Linux takes 2047 characters and says so in its header; the rest is for kernels that take more. */
export const COMMAND_LINE_MAX_SIZE = 64 * KIB;

// The PC's reserved tail of the first MiB.

/** Extended BIOS data area: the last KiB below 640 KiB, where kernels look for the MP floating pointer. */
export const EBDA_ADDRESS = 0x9fc00;
/** End of RAM that a PC's firmware reports below 1 MiB. */
export const EBDA_END = 0xa0000;
/** The RSDP, where `acpi=on` kernels scan for it on 16-byte boundaries; the other ACPI tables follow. */
export const RSDP_ADDRESS = 0xe0000;
/** First ACPI table after the RSDP. */
export const ACPI_TABLES_ADDRESS = 0xe0040;
/** 96 KiB hold the DSDT of 1024 CPUs and 19 devices. */
export const ACPI_TABLES_END = 0xf8000;
/** MP configuration table: 254 CPUs of 20 bytes do not fit into the EBDA's KiB. */
export const MP_TABLE_ADDRESS = 0xf8000;
/** 8 KiB: 44 bytes of header, 254 × 20, bus, IOAPIC, 24 + 2 interrupts of 8. */
export const MP_TABLE_END = 0xfa000;
/** SMBIOS entry point, where kernels scan for it on 16-byte boundaries, and behind it its table. */
export const SMBIOS_ADDRESS = 0xfa000;
/** 4 KiB. */
export const SMBIOS_END = 0xfb000;
/** F000:FFF0, where a processor begins after its reset: 16 bytes are left of the first MiB. */
export const RESET_VECTOR_ADDRESS = 0xffff0;
/** Above it lies memory that no PC device ever claimed. */
export const HIGH_MEMORY_ADDRESS = 0x100000;
/** Where a kernel file is put; Linux moves itself to its preferred address, mostly 16 MiB, before it unpacks itself. */
export const KERNEL_ADDRESS = HIGH_MEMORY_ADDRESS;

// The hole below 4 GiB.

/** RAM below 4 GiB ends here: 3328 MiB. */
export const HOLE_ADDRESS = 0xd0000000;
/** RAM goes on here. */
export const HOLE_END = 4 * GIB;
/** virtio-mmio windows from here, one after another; then other allocations below 4 GiB. */
export const MMIO_ADDRESS = HOLE_ADDRESS;
/** Registers (0x100) and config space of one virtio-mmio device; a page, so that ioeventfds never share one. */
export const MMIO_WINDOW_SIZE = 0x1000;
/** 256 MiB of windows. */
export const MMIO_END = 0xe0000000;
/** PCI's extended configuration space. */
export const ECAM_ADDRESS = 0xe0000000;
/** 1 MiB for each of 256 buses. */
export const ECAM_SIZE = 256 * MIB;
/** 32-bit BARs of PCI devices. */
export const PCI_MMIO_ADDRESS = 0xf0000000;
/** BARs end below the IOAPIC. */
export const PCI_MMIO_END = 0xfec00000;
/** The in-kernel IOAPIC's fixed address. */
export const IOAPIC_ADDRESS = 0xfec00000;
/** The local APICs' address after reset. */
export const LAPIC_ADDRESS = 0xfee00000;
/** The page for KVM_SET_IDENTITY_MAP_ADDR, which Intel needs for real mode. */
export const IDENTITY_MAP_ADDRESS = 0xfffbc000;
/** The three pages for KVM_SET_TSS_ADDR, which Intel needs for real mode. */
export const TSS_ADDRESS = 0xfffbd000;
/** Three pages. */
export const TSS_SIZE = 3 * PAGE_SIZE;

// Ports.

/** COM1's eight registers. */
export const COM1_PORT = 0x3f8;
/** Keyboard controller: data; only its reset command is of use. */
export const I8042_DATA_PORT = 0x60;
/** Keyboard controller: command and status. */
export const I8042_COMMAND_PORT = 0x64;
/** CMOS RTC: index; data is the next port. */
export const RTC_PORT = 0x70;
/** Boot timer: each byte written is a mark; Bochs' debug port. */
export const MARKER_PORT = 0xe9;
/** Debug exit: the value written is the machine's exit status. */
export const DEBUG_EXIT_PORT = 0xf4;
/** pvpanic's one register, QEMU's place for it. */
export const PVPANIC_PORT = 0x505;
/** ACPI: sleep control, one byte (ACPI 6.5 §4.8.3.7). */
export const ACPI_SLEEP_CONTROL_PORT = 0x600;
/** ACPI: sleep status, one byte. */
export const ACPI_SLEEP_STATUS_PORT = 0x601;
/** ACPI: reset register, one byte; see `ACPI_RESET_VALUE` in abi/acpi.ts. */
export const ACPI_RESET_PORT = 0x602;
/** ACPI: the event device's selector, four bytes: which events are pending; reading clears them. */
export const ACPI_GED_PORT = 0x604;
/** The block of ACPI ports as one bus window. */
export const ACPI_PORT = 0x600;
/** Sleep control, status, reset, a spare byte and the event selector. */
export const ACPI_PORT_SIZE = 8;

// Global system interrupts: 24 IOAPIC pins, routed one to one by the kernel.

/** Pins of the IOAPIC, so GSIs 0-23. */
export const IOAPIC_PINS = 24;
/** PIT. */
export const PIT_GSI = 0;
/** COM1. */
export const COM1_GSI = 4;
/** CMOS RTC. */
export const RTC_GSI = 8;
/** ACPI event device. */
export const ACPI_GED_GSI = 9;
/** What is left for devices, in the order of being handed out: 5-7 and 10-23. */
export const DEVICE_GSIS: readonly number[] = Object.freeze([
  5,
  6,
  7,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
  17,
  18,
  19,
  20,
  21,
  22,
  23,
]);

/** Guest RAM that is contiguous: from `address`, `size` bytes. */
export interface RamRegion {
  /** First guest physical address. */
  readonly address: number;
  /** Bytes. */
  readonly size: number;
}

/** Smallest RAM: the first MiB, with room for every table. */
export const MIN_RAM_SIZE = MIB;

/**
 * Splits RAM around the hole below 4 GiB: one region up to 3328 MiB, above that a second from 4 GiB.
 *
 * @param size bytes of RAM, a multiple of the page size
 * @param physicalBits width of a guest physical address; RAM past it is refused
 * @param base where RAM begins, below the hole
 */
export function splitRam(size: number, physicalBits = 52, base = 0): readonly RamRegion[] {
  if (!Number.isSafeInteger(size) || size < MIN_RAM_SIZE || size % PAGE_SIZE !== 0) {
    throw new VireoError(
      "config",
      `Cannot make ${size} bytes of RAM: it must be at least 1 MiB and a multiple of 4 KiB`,
    );
  }
  const low = HOLE_ADDRESS - base;
  if (low < PAGE_SIZE || base % PAGE_SIZE !== 0) {
    throw new VireoError(
      "config",
      `Cannot put RAM at 0x${base.toString(16)}: give a multiple of 4 KiB below 3328 MiB`,
    );
  }
  if (size <= low) return [{ address: base, size }];
  const high = { address: HOLE_END, size: size - low };
  const limit = 2 ** physicalBits;
  if (high.address + high.size > limit) {
    const most = Math.max(limit - HOLE_END, 0) + low;
    throw new ConfigError(
      "memory.size",
      `Cannot make ${size} bytes of RAM: guest physical addresses have ${physicalBits} bits on this host, ` +
        `so at most ${most} bytes fit beside the hole below 4 GiB`,
    );
  }
  return [{ address: base, size: low }, high];
}
