/**
 * Reads a kernel that is an ELF file: an uncompressed Linux (vmlinux), or another kernel with a PVH entry. Every number in it is
 * checked before it is used, and each loop is bounded by the file's size.
 *
 * @module
 */

import * as elf from "../abi/elf.ts";
import { viewOf } from "../base/bytes.ts";
import { sizeof } from "../base/struct.ts";
import { refuse } from "./kernel_error.ts";
import { type KernelFile, startsWith } from "./kernel_file.ts";

/** A part of the file that is loaded; what lies in memory behind its bytes is zero. */
export interface ElfSegment {
  readonly offset: number;
  /** Bytes in the file. */
  readonly length: number;
  /** Physical address. */
  readonly address: number;
  /** Bytes in memory, no fewer. */
  readonly memorySize: number;
}

/** What the file says of itself. */
export interface ElfKernel {
  readonly kind: "elf";
  /** The file's name, for messages. */
  readonly name: string;
  /** By address, none empty and none overlapping. */
  readonly segments: readonly ElfSegment[];
  /** Physical address of its entry: Linux' 64-bit one, if it is a Linux. */
  readonly entry: number;
  /** Physical address of its 32-bit entry by the PVH protocol, if it has one. */
  readonly pvhEntry?: number;
}

/** Notes are a few hundred bytes; a kernel with more of them is none. */
const MAX_NOTES_SIZE = 2 ** 20;
/** Everything of a kernel lies below 4 GiB, where its first page tables reach. */
const MAX_ADDRESS = 2 ** 32;

/** A row of the program header table. */
interface ProgramHeader extends ElfSegment {
  readonly type: number;
  readonly align: number;
}

/** Whether a file begins like ELF. */
export function isElf(head: Uint8Array): boolean {
  return startsWith(head, elf.ELF_MAGIC);
}

/**
 * Checks an ELF file and finds what is to be loaded.
 *
 * @throws KernelError that names the file
 */
export function parseElfKernel(file: KernelFile): ElfKernel {
  const { name } = file;
  const headers = programHeaders(file);
  if (headers.some(({ type }) => type === elf.PT_INTERP)) {
    throw refuse(name, "it is a program with a dynamic loader; pass a kernel, the file vmlinux");
  }
  const segments = headers
    .filter(({ type, memorySize }) => type === elf.PT_LOAD && memorySize > 0)
    .map((header) => checkedSegment(file, header))
    .sort((a, b) => a.address - b.address);
  if (segments.length === 0) throw refuse(name, "it has no segment to load; pass a kernel");
  for (const [index, { address, memorySize }] of segments.entries()) {
    const next = segments[index + 1]?.address ?? Infinity;
    if (address + memorySize <= next) continue;
    throw refuse(name, `two of its segments lie at 0x${next.toString(16)}; the file is damaged`);
  }
  const entry = Number(viewOf(header(file)).getBigUint64(elf.Elf64_Ehdr.e_entry, true));
  const pvhEntry = findPvhEntry(file, headers);
  checkEntry(name, segments, pvhEntry ?? entry);
  return { kind: "elf", name, segments, entry, ...(pvhEntry === undefined ? {} : { pvhEntry }) };
}

/** Sees that an entry point is in bytes that come from the file. */
export function checkEntry(name: string, segments: readonly ElfSegment[], entry: number): void {
  const isThere = segments.some(({ address, length }) =>
    address <= entry && entry < address + length
  );
  if (isThere) return;
  throw refuse(
    name,
    `its entry point, 0x${entry.toString(16)}, is outside of what is loaded; ` +
      "pass a kernel for x86-64",
  );
}

function header(file: KernelFile): Uint8Array {
  const bytes = file.read(0, sizeof(elf.Elf64_Ehdr));
  if (bytes.length === sizeof(elf.Elf64_Ehdr)) return bytes;
  throw refuse(file.name, `it is truncated: ${file.size} bytes end within its ELF header`);
}

function programHeaders(file: KernelFile): readonly ProgramHeader[] {
  const { name } = file;
  const bytes = header(file);
  const view = viewOf(bytes);
  if (bytes[elf.EI_CLASS] !== elf.ELFCLASS64 || bytes[elf.EI_DATA] !== elf.ELFDATA2LSB) {
    throw refuse(name, "it is no ELF file of 64 bits; pass a kernel for x86-64");
  }
  const machine = view.getUint16(elf.Elf64_Ehdr.e_machine, true);
  if (machine !== elf.EM_X86_64) {
    throw refuse(
      name,
      `it is made for another processor (e_machine ${machine}); pass an x86-64 one`,
    );
  }
  const type = view.getUint16(elf.Elf64_Ehdr.e_type, true);
  if (type !== elf.ET_EXEC) {
    throw refuse(name, `it is an ELF file but no kernel (e_type ${type}); pass the file vmlinux`);
  }
  const count = view.getUint16(elf.Elf64_Ehdr.e_phnum, true);
  const size = view.getUint16(elf.Elf64_Ehdr.e_phentsize, true);
  if (count === 0 || count === elf.PN_XNUM || size !== sizeof(elf.Elf64_Phdr)) {
    throw refuse(
      name,
      `its table of ${count} program headers of ${size} bytes is none that a kernel has; ` +
        "the file is damaged",
    );
  }
  const offset = Number(view.getBigUint64(elf.Elf64_Ehdr.e_phoff, true));
  const table = readPart(file, { offset, length: count * size }, "its program headers");
  return Array.from({ length: count }, (_, index) => programHeader(table, index * size));
}

/** Numbers above 2^53 lose their low bits here; every check below refuses them anyway. */
function programHeader(table: Uint8Array, at: number): ProgramHeader {
  const view = viewOf(table);
  const u64 = (field: number) => Number(view.getBigUint64(at + field, true));
  return {
    type: view.getUint32(at + elf.Elf64_Phdr.p_type, true),
    offset: u64(elf.Elf64_Phdr.p_offset),
    length: u64(elf.Elf64_Phdr.p_filesz),
    address: u64(elf.Elf64_Phdr.p_paddr),
    memorySize: u64(elf.Elf64_Phdr.p_memsz),
    align: u64(elf.Elf64_Phdr.p_align),
  };
}

function checkedSegment(file: KernelFile, header: ProgramHeader): ElfSegment {
  const { offset, length, address, memorySize } = header;
  const { name } = file;
  if (length > memorySize) {
    throw refuse(
      name,
      `a segment has ${length} bytes in the file and ${memorySize} in memory; the file is damaged`,
    );
  }
  if (address + memorySize > MAX_ADDRESS) {
    throw refuse(
      name,
      `a segment of ${memorySize} bytes goes to 0x${address.toString(16)}, which does not end ` +
        "below 4 GiB; pass a kernel that is linked for physical addresses",
    );
  }
  checkInFile(file, { offset, length }, "a segment");
  return { offset, length, address, memorySize };
}

/** The entry that a note names. The first such note counts. */
function findPvhEntry(
  file: KernelFile,
  headers: readonly ProgramHeader[],
): number | undefined {
  for (const { type, offset, length, align } of headers) {
    if (type !== elf.PT_NOTE) continue;
    if (length > MAX_NOTES_SIZE) {
      throw refuse(file.name, `it has ${length} bytes of notes; the file is damaged`);
    }
    const notes = readPart(file, { offset, length }, "its notes");
    const entry = pvhNote(notes, align === 8 ? 8 : 4);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** "Xen" and the zero behind it. */
const XEN = [0x58, 0x65, 0x6e, 0];

/** Walks notes. Each step goes on by at least a note's header, so it ends whatever the sizes say. */
function pvhNote(notes: Uint8Array, align: number): number | undefined {
  const view = viewOf(notes);
  const padded = (size: number) => Math.ceil(size / align) * align;
  let at = 0;
  while (at + sizeof(elf.Elf64_Nhdr) <= notes.length) {
    const nameSize = view.getUint32(at + elf.Elf64_Nhdr.n_namesz, true);
    const size = view.getUint32(at + elf.Elf64_Nhdr.n_descsz, true);
    const type = view.getUint32(at + elf.Elf64_Nhdr.n_type, true);
    const nameAt = at + sizeof(elf.Elf64_Nhdr);
    const valueAt = nameAt + padded(nameSize);
    if (valueAt + size > notes.length) return undefined;
    const isXen = nameSize === XEN.length && startsWith(notes.subarray(nameAt), XEN);
    if (isXen && type === elf.XEN_ELFNOTE_PHYS32_ENTRY && (size === 4 || size === 8)) {
      return size === 4 ? view.getUint32(valueAt, true) : Number(view.getBigUint64(valueAt, true));
    }
    at = valueAt + padded(size);
  }
  return undefined;
}

/** A part of the file that must be there whole. */
interface FilePart {
  readonly offset: number;
  readonly length: number;
}

function readPart(file: KernelFile, part: FilePart, what: string): Uint8Array {
  checkInFile(file, part, what);
  return file.read(part.offset, part.length);
}

function checkInFile(file: KernelFile, { offset, length }: FilePart, what: string): void {
  if (offset + length <= file.size) return;
  throw refuse(
    file.name,
    `it is truncated: ${what} would end at ${offset + length} of ${file.size} bytes; ` +
      "copy or unpack it again",
  );
}
