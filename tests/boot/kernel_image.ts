/**
 * Makes kernel files for the loader's tests: a correct bzImage of protocol 2.15, with any field of its header changed.
 *
 * @module
 */

import { setup_header, SETUP_HEADER_OFFSET } from "../../src/abi/boot.ts";

/** Fields of the header by name, and the file's makeup. */
export interface ImageOptions {
  /** Header fields that differ; numbers of the field's own width. */
  readonly fields?: Readonly<Record<string, number>>;
  /** Bytes of the protected-mode part, a multiple of 16. */
  readonly kernelSize?: number;
  /** Bytes cut off (negative) or appended at the end. */
  readonly extra?: number;
}

type HeaderField = keyof typeof setup_header & string;

/** Bytes after the header's jump instruction, for protocol 2.15. */
const JUMP = 0x6aeb;

const FIELDS: Readonly<Record<string, number>> = {
  setup_sects: 3,
  boot_flag: 0xaa55,
  jump: JUMP,
  header: 0x53726448,
  version: 0x20f,
  loadflags: 1,
  initrd_addr_max: 0x7fffffff,
  kernel_alignment: 0x200000,
  relocatable_kernel: 1,
  xloadflags: 0x3f,
  cmdline_size: 2047,
  pref_address: 0x1000000,
  init_size: 0x800000,
};

const BYTE_FIELDS = ["setup_sects", "loadflags", "relocatable_kernel"];
const WORD_FIELDS = ["boot_flag", "jump", "version", "xloadflags"];

/** A kernel file; byte i of the protected-mode part is i modulo 251. */
export function kernelImage(options: ImageOptions = {}): Uint8Array {
  const { kernelSize = 4096, extra = 0 } = options;
  const fields: Record<string, number> = {
    ...FIELDS,
    syssize: kernelSize / 16,
    ...options.fields,
  };
  const setupSize = ((fields["setup_sects"] || 4) + 1) * 512;
  const file = new Uint8Array(Math.max(0, setupSize + kernelSize + Math.max(0, extra)));
  const view = new DataView(file.buffer);
  for (let i = 0; i < kernelSize; i++) file[setupSize + i] = i % 251;
  for (const [name, value] of Object.entries(fields)) {
    const at = SETUP_HEADER_OFFSET + setup_header[name as HeaderField];
    if (BYTE_FIELDS.includes(name)) view.setUint8(at, value);
    else if (WORD_FIELDS.includes(name)) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  return file.subarray(0, file.length + Math.min(0, extra));
}
