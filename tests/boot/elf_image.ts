/**
 * Makes ELF kernels for the loader's tests: a correct one of two segments and a PVH note, with anything in it changed.
 *
 * @module
 */

import * as elf from "../../src/abi/elf.ts";
import { sizeof } from "../../src/base/struct.ts";

/** A row of the program header table. */
export interface ElfSegmentPlan {
  readonly type: number;
  readonly offset: number;
  readonly address: number | bigint;
  readonly fileSize: number | bigint;
  readonly memorySize: number | bigint;
  readonly align?: number;
}

/** The file's makeup. */
export interface ElfOptions {
  /** Rows instead of those of {@linkcode SEGMENTS}. */
  readonly segments?: readonly ElfSegmentPlan[];
  /** Bytes of notes instead of {@linkcode pvhNotes}'s. */
  readonly notes?: Uint8Array;
  readonly entry?: number | bigint;
  /** Fields of the ELF header of two bytes that differ. */
  readonly fields?: Readonly<Record<string, number>>;
  /** Bytes of the file. */
  readonly size?: number;
}

const HEADERS = 0x400;
const NOTES = 0x800;
const TEXT = 0x1000;

/** Text with the entry at 16 MiB, data and zeros at 20 MiB, notes. */
export const SEGMENTS: readonly ElfSegmentPlan[] = [
  { type: elf.PT_LOAD, offset: TEXT, address: 0x1000000, fileSize: 0x800, memorySize: 0x800 },
  { type: elf.PT_LOAD, offset: 0x1800, address: 0x1400000, fileSize: 0x100, memorySize: 0x3000 },
  { type: elf.PT_NOTE, offset: NOTES, address: 0, fileSize: 60, memorySize: 60 },
];

/** Bytes of a note. */
export function note(name: string, type: number, value: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(`${name}\0`);
  const padded = Math.ceil(text.length / 4) * 4;
  const bytes = new Uint8Array(12 + padded + Math.ceil(value.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(elf.Elf64_Nhdr.n_namesz, text.length, true);
  view.setUint32(elf.Elf64_Nhdr.n_descsz, value.length, true);
  view.setUint32(elf.Elf64_Nhdr.n_type, type, true);
  bytes.set(text, 12);
  bytes.set(value, 12 + padded);
  return bytes;
}

/** A note of another owner, and Xen's with an entry point. */
export function pvhNotes(entry: number): Uint8Array {
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, entry, true);
  const other = note("GNU", elf.XEN_ELFNOTE_PHYS32_ENTRY, Uint8Array.of(1, 2, 3, 4, 5));
  return Uint8Array.of(...other, ...note("Xen", elf.XEN_ELFNOTE_PHYS32_ENTRY, value));
}

/** An ELF file; byte i of it is i modulo 251 where nothing else is. */
export function elfImage(options: ElfOptions = {}): Uint8Array<ArrayBuffer> {
  const { segments = SEGMENTS, notes = pvhNotes(0x1000200), entry = 0x1000100 } = options;
  const file = Uint8Array.from({ length: 0x2000 }, (_, index) => index % 251);
  const view = new DataView(file.buffer);
  file.fill(0, 0, 64);
  file.set([...elf.ELF_MAGIC, elf.ELFCLASS64, elf.ELFDATA2LSB, 1]);
  const fields: Record<string, number> = {
    e_type: elf.ET_EXEC,
    e_machine: elf.EM_X86_64,
    e_ehsize: sizeof(elf.Elf64_Ehdr),
    e_phentsize: sizeof(elf.Elf64_Phdr),
    e_phnum: segments.length,
    ...options.fields,
  };
  for (const [name, value] of Object.entries(fields)) {
    view.setUint16(elf.Elf64_Ehdr[name as "e_type"], value, true);
  }
  view.setBigUint64(elf.Elf64_Ehdr.e_entry, BigInt(entry), true);
  view.setBigUint64(elf.Elf64_Ehdr.e_phoff, BigInt(HEADERS), true);
  for (const [index, segment] of segments.entries()) {
    const at = HEADERS + index * sizeof(elf.Elf64_Phdr);
    view.setUint32(at + elf.Elf64_Phdr.p_type, segment.type, true);
    view.setBigUint64(at + elf.Elf64_Phdr.p_offset, BigInt(segment.offset), true);
    view.setBigUint64(at + elf.Elf64_Phdr.p_paddr, BigInt(segment.address), true);
    view.setBigUint64(at + elf.Elf64_Phdr.p_filesz, BigInt(segment.fileSize), true);
    view.setBigUint64(at + elf.Elf64_Phdr.p_memsz, BigInt(segment.memorySize), true);
    view.setBigUint64(at + elf.Elf64_Phdr.p_align, BigInt(segment.align ?? 4), true);
  }
  file.set(notes, NOTES);
  return file.slice(0, options.size ?? file.length);
}
