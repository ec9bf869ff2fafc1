/**
 * The guest's program that writes one byte to the boot timer's port: `mark I`. Debian's cloud kernels have no /dev/port, so it asks
 * for the port itself. It is put together here, 160 bytes of ELF, so that making an initramfs needs no compiler.
 *
 * @module
 */

import { MARKER_PORT } from "../arch/x86_64/layout.ts";

const BASE = 0x400000;
const ELF_HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const ENTRY = ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE;

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
  // ELF64, little-endian, version 1; an executable for x86-64 (elf(5)).
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(BASE + ENTRY), true);
  view.setBigUint64(32, BigInt(ELF_HEADER_SIZE), true);
  view.setUint16(52, ELF_HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, 1, true);
  // One segment, read and execute: the whole file.
  const segment = ELF_HEADER_SIZE;
  view.setUint32(segment, 1, true);
  view.setUint32(segment + 4, 5, true);
  view.setBigUint64(segment + 16, BigInt(BASE), true);
  view.setBigUint64(segment + 24, BigInt(BASE), true);
  view.setBigUint64(segment + 32, BigInt(file.length), true);
  view.setBigUint64(segment + 40, BigInt(file.length), true);
  view.setBigUint64(segment + 48, 0x1000n, true);
  file.set(CODE, ENTRY);
  return file;
}
