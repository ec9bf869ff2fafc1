/**
 * What Xen's PVH protocol hands over: `struct hvm_start_info`, with the memory map and the initrd as its one module.
 *
 * @module
 */

import {
  hvm_memmap_table_entry,
  hvm_modlist_entry,
  hvm_start_info,
  XEN_HVM_START_MAGIC_VALUE,
  XEN_HVM_START_VERSION,
} from "../abi/pvh.ts";
import { COMMAND_LINE_ADDRESS, PAGE_SIZE, PVH_START_INFO_ADDRESS } from "../arch/x86_64/layout.ts";
import type { Placement } from "../arch/x86_64/placement.ts";
import { VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import type { Handover } from "./zero_page.ts";

const MODULES = sizeof(hvm_start_info);
const MAP = MODULES + sizeof(hvm_modlist_entry);
const MAX_RANGES = Math.floor((PAGE_SIZE - MAP) / sizeof(hvm_memmap_table_entry));

/** The start info, the list of modules and the memory map, in one page. */
export function startInfo({ initrd, e820, rsdpAddress }: Handover): Placement {
  if (e820.length > MAX_RANGES) {
    throw new VireoError(
      "load_memory",
      `Cannot tell the kernel of ${e820.length} memory ranges: its start info has room for ` +
        `${MAX_RANGES}; allocate fewer separate regions`,
    );
  }
  const bytes = new Uint8Array(MAP + e820.length * sizeof(hvm_memmap_table_entry));
  const view = new DataView(bytes.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  view.setUint32(hvm_start_info.magic, XEN_HVM_START_MAGIC_VALUE, true);
  view.setUint32(hvm_start_info.version, XEN_HVM_START_VERSION, true);
  u64(hvm_start_info.cmdline_paddr, COMMAND_LINE_ADDRESS);
  u64(hvm_start_info.rsdp_paddr, rsdpAddress);
  u64(hvm_start_info.memmap_paddr, PVH_START_INFO_ADDRESS + MAP);
  view.setUint32(hvm_start_info.memmap_entries, e820.length, true);
  if (initrd !== undefined) {
    view.setUint32(hvm_start_info.nr_modules, 1, true);
    u64(hvm_start_info.modlist_paddr, PVH_START_INFO_ADDRESS + MODULES);
    u64(MODULES + hvm_modlist_entry.paddr, initrd.address);
    u64(MODULES + hvm_modlist_entry.size, initrd.length);
  }
  e820.forEach(({ address, size, type }, index) => {
    const at = MAP + index * sizeof(hvm_memmap_table_entry);
    u64(at + hvm_memmap_table_entry.addr, address);
    u64(at + hvm_memmap_table_entry.size, size);
    view.setUint32(at + hvm_memmap_table_entry.type, type, true);
  });
  return { address: PVH_START_INFO_ADDRESS, bytes };
}
