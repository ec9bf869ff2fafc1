/**
 * The guest's program that writes one byte to the boot timer's port: `mark I`. Debian's cloud kernels have no /dev/port, so it asks
 * for the port itself. It is put together here, 161 bytes of ELF, so that making an initramfs needs no compiler.
 *
 * @module
 */

import * as elf from "../abi/elf.ts";
import { MARKER_PORT, PAGE_SIZE } from "../arch/x86_64/layout.ts";
import { sizeof } from "../base/struct.ts";

const BASE = 0x400000;
/** Where its one program header lies. */
const SEGMENT = sizeof(elf.Elf64_Ehdr);
const ENTRY = SEGMENT + sizeof(elf.Elf64_Phdr);

const CODE = [
  ...[0xbf, MARKER_PORT, 0, 0, 0], // mov edi, port
  ...[0xbe, 1, 0, 0, 0], // mov esi, 1
  ...[0x89, 0xf2], // mov edx, esi
  ...[0xb8, 173, 0, 0, 0], // mov eax, ioperm
  ...[0x0f, 0x05], // syscall
  ...[0x85, 0xc0], // test eax, eax
  ...[0x75, 9], // jne exit
  ...[0x48, 0x8b, 0x74, 0x24, 16], // mov rsi, argv[1]
  ...[0x8a, 0x06], // mov al, [rsi]
  ...[0xe6, MARKER_PORT], // out port, al
  ...[0x31, 0xff], // exit: xor edi, edi
  ...[0xb8, 60, 0, 0, 0], // mov eax, exit
  ...[0x0f, 0x05], // syscall
];

/** The program's file. */
export function markProgram(): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(ENTRY + CODE.length);
  const view = new DataView(file.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  file.set([...elf.ELF_MAGIC, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EV_CURRENT]);
  view.setUint16(elf.Elf64_Ehdr.e_type, elf.ET_EXEC, true);
  view.setUint16(elf.Elf64_Ehdr.e_machine, elf.EM_X86_64, true);
  view.setUint32(elf.Elf64_Ehdr.e_version, elf.EV_CURRENT, true);
  u64(elf.Elf64_Ehdr.e_entry, BASE + ENTRY);
  u64(elf.Elf64_Ehdr.e_phoff, SEGMENT);
  view.setUint16(elf.Elf64_Ehdr.e_ehsize, sizeof(elf.Elf64_Ehdr), true);
  view.setUint16(elf.Elf64_Ehdr.e_phentsize, sizeof(elf.Elf64_Phdr), true);
  view.setUint16(elf.Elf64_Ehdr.e_phnum, 1, true);
  // One segment, read and execute: the whole file.
  view.setUint32(SEGMENT + elf.Elf64_Phdr.p_type, elf.PT_LOAD, true);
  view.setUint32(SEGMENT + elf.Elf64_Phdr.p_flags, elf.PF_R + elf.PF_X, true);
  u64(SEGMENT + elf.Elf64_Phdr.p_vaddr, BASE);
  u64(SEGMENT + elf.Elf64_Phdr.p_paddr, BASE);
  u64(SEGMENT + elf.Elf64_Phdr.p_filesz, file.length);
  u64(SEGMENT + elf.Elf64_Phdr.p_memsz, file.length);
  u64(SEGMENT + elf.Elf64_Phdr.p_align, PAGE_SIZE);
  file.set(CODE, ENTRY);
  return file;
}
