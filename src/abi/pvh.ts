/**
 * Xen's PVH boot protocol: xen/include/public/arch-x86/hvm/start_info.h. All addresses are physical.
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** `struct hvm_start_info`, version 1. */
export const hvm_start_info = struct({
  magic: "u32",
  version: "u32",
  flags: "u32",
  nr_modules: "u32",
  modlist_paddr: "u64",
  cmdline_paddr: "u64",
  rsdp_paddr: "u64",
  memmap_paddr: "u64",
  memmap_entries: "u32",
  reserved: "u32",
});

/** `struct hvm_modlist_entry`. */
export const hvm_modlist_entry = struct({
  paddr: "u64",
  size: "u64",
  cmdline_paddr: "u64",
  reserved: "u64",
});

/** `struct hvm_memmap_table_entry`; types are those of e820. */
export const hvm_memmap_table_entry = struct({
  addr: "u64",
  size: "u64",
  type: "u32",
  reserved: "u32",
});

/** `hvm_start_info.magic`: "xEn3" with the sign bit of the E set. */
export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
/** The version that has the memory map. */
export const XEN_HVM_START_VERSION = 1;
