/**
 * What Linux' 64-bit boot protocol hands over: `struct boot_params`.
 *
 * @module
 */

import {
  boot_e820_entry,
  BOOT_FLAG,
  boot_params,
  E820_MAX_ENTRIES_ZEROPAGE,
  LOADED_HIGH,
  LOADER_TYPE_UNDEFINED,
  setup_header,
  SETUP_MAGIC,
} from "../abi/boot.ts";
import { COMMAND_LINE_ADDRESS, ZERO_PAGE_ADDRESS } from "../arch/x86_64/layout.ts";
import type { Placement } from "../arch/x86_64/placement.ts";
import { VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import type { E820Entry } from "./e820.ts";
import type { FileRange } from "./kernel_file.ts";

/** What a kernel is told whatever the protocol. */
export interface Handover {
  readonly initrd: FileRange | undefined;
  readonly e820: readonly E820Entry[];
  /** 0 for a machine without ACPI. */
  readonly rsdpAddress: number;
}

/**
 * `struct boot_params`.
 *
 * @param header the kernel's own setup header, or {@linkcode plainHeader}
 */
export function zeroPage(header: Uint8Array, facts: Handover): Placement {
  const bytes = new Uint8Array(sizeof(boot_params));
  const view = new DataView(bytes.buffer);
  bytes.set(header, boot_params.hdr);
  view.setUint8(boot_params.hdr + setup_header.type_of_loader, LOADER_TYPE_UNDEFINED);
  view.setUint32(boot_params.hdr + setup_header.cmd_line_ptr, COMMAND_LINE_ADDRESS, true);
  view.setUint32(boot_params.hdr + setup_header.ramdisk_image, facts.initrd?.address ?? 0, true);
  view.setUint32(boot_params.hdr + setup_header.ramdisk_size, facts.initrd?.length ?? 0, true);
  view.setBigUint64(boot_params.acpi_rsdp_addr, BigInt(facts.rsdpAddress), true);
  writeE820(view, facts.e820);
  return { address: ZERO_PAGE_ADDRESS, bytes };
}

/** Protocol 2.15, the newest. */
const PROTOCOL = 0x20f;

/** The setup header of a kernel whose file has none: what a kernel that is running already still looks at. */
export function plainHeader(): Uint8Array {
  const bytes = new Uint8Array(sizeof(setup_header));
  const view = new DataView(bytes.buffer);
  view.setUint16(setup_header.boot_flag, BOOT_FLAG, true);
  view.setUint32(setup_header.header, SETUP_MAGIC, true);
  view.setUint16(setup_header.version, PROTOCOL, true);
  view.setUint8(setup_header.loadflags, LOADED_HIGH);
  return bytes;
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
