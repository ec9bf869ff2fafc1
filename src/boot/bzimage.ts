/**
 * Reads the setup header of a Linux bzImage (Documentation/arch/x86/boot.rst). Pure: bytes in, facts out.
 *
 * @module
 */

import {
  BOOT_FLAG,
  boot_params,
  LOADED_HIGH,
  PARAGRAPH_SIZE,
  SECTOR_SIZE,
  setup_header,
  SETUP_HEADER_OFFSET,
  SETUP_MAGIC,
  SETUP_SECTS_DEFAULT,
  XLF_KERNEL_64,
} from "../abi/boot.ts";
import { viewOf } from "../base/bytes.ts";
import { refuse } from "./kernel_error.ts";

/** What a kernel file says of itself. */
export interface BzImage {
  readonly kind: "bzimage";
  /** The file's name, for messages. */
  readonly name: string;
  /** Boot protocol, 0x20f for 2.15. */
  readonly protocol: number;
  /** The setup header as it is in the file, to be copied into boot_params. */
  readonly header: Uint8Array;
  /** Where the protected-mode part begins in the file. */
  readonly kernelOffset: number;
  /** Its length: what is loaded. */
  readonly kernelSize: number;
  /** Longest command line in bytes, without the 0 at its end. */
  readonly commandLineSize: number;
  /** Highest address that the initrd's last byte may have. */
  readonly initrdAddressMax: number;
  /** The kernel decompresses itself to this address, or the next aligned one above where it was loaded. */
  readonly preferredAddress: number;
  /** Alignment of that address. */
  readonly alignment: number;
  /** Whether it runs elsewhere than at its preferred address. */
  readonly relocatable: boolean;
  /** Bytes from there on that it needs before it has read the memory map. */
  readonly initSize: number;
}

/** As many bytes of a file as {@linkcode parseBzImage} wants to see. */
export const BZIMAGE_HEAD_SIZE = 1024;

/** Protocol 2.06 brought cmdline_size. */
const MIN_PROTOCOL = 0x206;
/** 2.12 brought xloadflags, which say whether there is a 64-bit entry point. */
const PROTOCOL_64BIT = 0x20c;
/** The header of protocol 2.12 ends with handover_offset; everything we read is before that. */
const MIN_HEADER_SIZE = setup_header.handover_offset;
/** Room for a header in boot_params. */
const MAX_HEADER_SIZE = boot_params.edd_mbr_sig_buffer - boot_params.hdr;
/** The header's length is counted from the end of the jump over it. */
const JUMP_END = SETUP_HEADER_OFFSET + setup_header.jump + 2;

/** Whether a file begins like a bzImage: other loaders look for their own magic. */
export function isBzImage(head: Uint8Array): boolean {
  if (head.length < SETUP_HEADER_OFFSET + setup_header.version) return false;
  const view = viewOf(head);
  return view.getUint16(SETUP_HEADER_OFFSET + setup_header.boot_flag, true) === BOOT_FLAG &&
    view.getUint32(SETUP_HEADER_OFFSET + setup_header.header, true) === SETUP_MAGIC;
}

/**
 * Checks a kernel file's header.
 *
 * @param head the file's first bytes, {@linkcode BZIMAGE_HEAD_SIZE} or all there are
 * @param fileSize the whole file's length in bytes
 * @param name the file's name, for messages
 * @throws KernelError that names the file
 */
export function parseBzImage(head: Uint8Array, fileSize: number, name: string): BzImage {
  if (!isBzImage(head)) {
    throw refuse(
      name,
      "it has no Linux boot header (HdrS); pass a bzImage, the file called vmlinuz",
    );
  }
  if (head.length < SETUP_HEADER_OFFSET + MIN_HEADER_SIZE) {
    throw refuse(name, `it is truncated: ${fileSize} bytes end within its boot header`);
  }
  const view = viewOf(head);
  const u8 = (field: number) => view.getUint8(SETUP_HEADER_OFFSET + field);
  const u16 = (field: number) => view.getUint16(SETUP_HEADER_OFFSET + field, true);
  const u32 = (field: number) => view.getUint32(SETUP_HEADER_OFFSET + field, true);
  // The second byte of the jump is its distance, and it leads just past the header.
  const headerSize = Math.min(JUMP_END + u8(setup_header.jump + 1), head.length) -
    SETUP_HEADER_OFFSET;
  const protocol = u16(setup_header.version);
  checkProtocol(name, protocol);
  if (headerSize < MIN_HEADER_SIZE) {
    throw refuse(
      name,
      `its boot header has ${headerSize} bytes where ${MIN_HEADER_SIZE} are needed; the file is damaged`,
    );
  }
  if (u16(setup_header.xloadflags) % 2 !== XLF_KERNEL_64) {
    throw refuse(name, "it has no 64-bit entry point (XLF_KERNEL_64); pass an x86-64 kernel");
  }
  if (u8(setup_header.loadflags) % 2 !== LOADED_HIGH) {
    throw refuse(name, "it is a zImage, made to be loaded below 640 KiB; pass a bzImage");
  }
  const kernelOffset = ((u8(setup_header.setup_sects) || SETUP_SECTS_DEFAULT) + 1) * SECTOR_SIZE;
  checkAlignment(name, u32(setup_header.kernel_alignment));
  checkLength(name, fileSize, kernelOffset, u32(setup_header.syssize) * PARAGRAPH_SIZE);
  return {
    kind: "bzimage",
    name,
    protocol,
    header: head.slice(
      SETUP_HEADER_OFFSET,
      SETUP_HEADER_OFFSET + Math.min(headerSize, MAX_HEADER_SIZE),
    ),
    kernelOffset,
    kernelSize: fileSize - kernelOffset,
    commandLineSize: u32(setup_header.cmdline_size),
    initrdAddressMax: u32(setup_header.initrd_addr_max),
    preferredAddress: Number(
      view.getBigUint64(SETUP_HEADER_OFFSET + setup_header.pref_address, true),
    ),
    alignment: u32(setup_header.kernel_alignment),
    relocatable: u8(setup_header.relocatable_kernel) !== 0,
    initSize: u32(setup_header.init_size),
  };
}

function checkProtocol(name: string, protocol: number): void {
  const text = `boot protocol ${Math.floor(protocol / 256)}.${
    String(protocol % 256).padStart(2, "0")
  }`;
  if (protocol < MIN_PROTOCOL) {
    throw refuse(name, `${text} is older than 2.06; pass a kernel of Linux 3.8 or later`);
  }
  if (protocol < PROTOCOL_64BIT) {
    throw refuse(name, `${text} has no 64-bit entry point; pass a kernel of Linux 3.8 or later`);
  }
}

function checkAlignment(name: string, alignment: number): void {
  if (alignment === 0 || !Number.isInteger(Math.log2(alignment))) {
    throw refuse(
      name,
      `its kernel_alignment, ${alignment}, is not a power of two; the file is damaged`,
    );
  }
}

function checkLength(name: string, fileSize: number, kernelOffset: number, size: number): void {
  if (size === 0) throw refuse(name, "its header says that it is empty (syssize 0)");
  // syssize counts whole paragraphs, so up to 15 bytes of it need not be in the file.
  if (kernelOffset + size - fileSize >= PARAGRAPH_SIZE) {
    throw refuse(
      name,
      `it is truncated: ${fileSize} bytes of ${kernelOffset + size}; copy or download it again`,
    );
  }
}
