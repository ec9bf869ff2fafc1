/**
 * Linux' x86 boot protocol: `asm/bootparam.h` and Documentation/arch/x86/boot.rst. Only what is read or written here has a
 * name; what lies between is padding.
 *
 * @module
 */

import { sizeof, struct } from "../base/struct.ts";

/** `struct setup_header`, at 0x1f1 of the kernel file and of boot_params. */
export const setup_header = struct({
  setup_sects: "u8",
  root_flags: "u16",
  syssize: "u32",
  ram_size: "u16",
  vid_mode: "u16",
  root_dev: "u16",
  boot_flag: "u16",
  jump: "u16",
  header: "u32",
  version: "u16",
  realmode_swtch: "u32",
  start_sys_seg: "u16",
  kernel_version: "u16",
  type_of_loader: "u8",
  loadflags: "u8",
  setup_move_size: "u16",
  code32_start: "u32",
  ramdisk_image: "u32",
  ramdisk_size: "u32",
  bootsect_kludge: "u32",
  heap_end_ptr: "u16",
  ext_loader_ver: "u8",
  ext_loader_type: "u8",
  cmd_line_ptr: "u32",
  initrd_addr_max: "u32",
  kernel_alignment: "u32",
  relocatable_kernel: "u8",
  min_alignment: "u8",
  xloadflags: "u16",
  cmdline_size: "u32",
  hardware_subarch: "u32",
  hardware_subarch_data: "u64",
  payload_offset: "u32",
  payload_length: "u32",
  setup_data: "u64",
  pref_address: "u64",
  init_size: "u32",
  handover_offset: "u32",
  kernel_info_offset: "u32",
}, { packed: true });

/** `struct boot_e820_entry`. */
export const boot_e820_entry = struct({ addr: "u64", size: "u64", type: "u32" }, { packed: true });

/** `struct boot_params`, the zero page. */
export const boot_params = struct({
  screen_info: ["u8", 64],
  _apm_bios_info: ["u8", 24],
  tboot_addr: "u64",
  ist_info: ["u8", 16],
  acpi_rsdp_addr: "u64",
  _pad3: ["u8", 72],
  ext_ramdisk_image: "u32",
  ext_ramdisk_size: "u32",
  ext_cmd_line_ptr: "u32",
  _pad4: ["u8", 284],
  e820_entries: "u8",
  _pad5: ["u8", 6],
  sentinel: "u8",
  _pad6: "u8",
  hdr: setup_header,
  _pad7: ["u8", 0x290 - 0x1f1 - sizeof(setup_header)],
  edd_mbr_sig_buffer: ["u32", 16],
  e820_table: [boot_e820_entry, 128],
  _pad8: ["u8", 816],
}, { packed: true });

/** Rows of `boot_params.e820_table`. */
export const E820_MAX_ENTRIES_ZEROPAGE = 128;

/** e820: usable RAM. */
export const E820_TYPE_RAM = 1;
/** e820: reserved. */
export const E820_TYPE_RESERVED = 2;

/** `setup_header.boot_flag` of every x86 boot sector. */
export const BOOT_FLAG = 0xaa55;
/** `setup_header.header`: "HdrS". */
export const SETUP_MAGIC = 0x53726448;
/** Where the setup header begins in the kernel file. */
export const SETUP_HEADER_OFFSET = 0x1f1;
/** A sector, the unit of `setup_sects`. */
export const SECTOR_SIZE = 512;
/** `setup_sects` that is 0 means this. */
export const SETUP_SECTS_DEFAULT = 4;
/** The unit of `syssize`. */
export const PARAGRAPH_SIZE = 16;

/** `loadflags`: the protected-mode part goes to 0x100000. */
export const LOADED_HIGH = 1;
/** `xloadflags`: there is a 64-bit entry point at 0x200. */
export const XLF_KERNEL_64 = 1;
/** `type_of_loader` for a loader without an assigned number. */
export const LOADER_TYPE_UNDEFINED = 0xff;
/** The 64-bit entry point, counted from the protected-mode part's start. */
export const ENTRY_64_OFFSET = 0x200;
