/**
 * ELF files of 64 bits, as far as kernels use them: `elf.h`, elf(5).
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** `Elf64_Ehdr`. */
export const Elf64_Ehdr = struct({
  e_ident: ["u8", 16],
  e_type: "u16",
  e_machine: "u16",
  e_version: "u32",
  e_entry: "u64",
  e_phoff: "u64",
  e_shoff: "u64",
  e_flags: "u32",
  e_ehsize: "u16",
  e_phentsize: "u16",
  e_phnum: "u16",
  e_shentsize: "u16",
  e_shnum: "u16",
  e_shstrndx: "u16",
});

/** `Elf64_Phdr`. */
export const Elf64_Phdr = struct({
  p_type: "u32",
  p_flags: "u32",
  p_offset: "u64",
  p_vaddr: "u64",
  p_paddr: "u64",
  p_filesz: "u64",
  p_memsz: "u64",
  p_align: "u64",
});

/** `Elf64_Shdr`. */
export const Elf64_Shdr = struct({
  sh_name: "u32",
  sh_type: "u32",
  sh_flags: "u64",
  sh_addr: "u64",
  sh_offset: "u64",
  sh_size: "u64",
  sh_link: "u32",
  sh_info: "u32",
  sh_addralign: "u64",
  sh_entsize: "u64",
});

/** `Elf64_Nhdr`; the name and the descriptor follow, each padded. */
export const Elf64_Nhdr = struct({ n_namesz: "u32", n_descsz: "u32", n_type: "u32" });

/** The first four bytes of every ELF file. */
export const ELF_MAGIC: readonly number[] = Object.freeze([0x7f, 0x45, 0x4c, 0x46]);
/** Index in `e_ident` of the word size. */
export const EI_CLASS = 4;
/** Index in `e_ident` of the byte order. */
export const EI_DATA = 5;
/** 64 bits. */
export const ELFCLASS64 = 2;
/** Little-endian. */
export const ELFDATA2LSB = 1;
/** `e_type`: loaded where it says. */
export const ET_EXEC = 2;
/** `e_machine`: x86-64. */
export const EM_X86_64 = 62;
/** `e_phnum` that means that the number lies elsewhere, since it is no less. */
export const PN_XNUM = 0xffff;
/** `p_flags`: executable. */
export const PF_X = 1;
/** `p_flags`: readable. */
export const PF_R = 4;
/** `EV_CURRENT`, the one version there is. */
export const EV_CURRENT = 1;
/** A segment to be loaded. */
export const PT_LOAD = 1;
/** The program needs a dynamic loader. */
export const PT_INTERP = 3;
/** A segment of notes. */
export const PT_NOTE = 4;
/** Type of the note of owner "Xen" that holds the 32-bit entry point (xen/include/public/elfnote.h). */
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;
