/**
 * A kernel's file as its parsers see it: bytes at offsets, on disk or in memory.
 *
 * @module
 */

/** Where a kernel is read from. */
export interface KernelFile {
  /** Its name, for messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The bytes from `offset` on: `length` of them, or fewer at the file's end. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

/** A part of a file and where in guest memory it goes. */
export interface FileRange {
  readonly offset: number;
  readonly length: number;
  readonly address: number;
}

/** A kernel's file that is in memory. */
export class MemoryFile implements KernelFile {
  readonly name: string;
  /** All of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;

  /**
   * @param name for messages
   * @param bytes all of it
   */
  constructor(name: string, bytes: Uint8Array<ArrayBuffer>) {
    this.name = name;
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(offset, offset + length);
  }
}

/** Whether bytes begin with a magic number. */
export function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}
