/**
 * An array of `struct iovec` at a fixed host address.
 *
 * @module
 */

import { IOVEC_SIZE } from "../abi/linux.ts";
import type { IovecBlock } from "./file.ts";
import { Mapping, pageAlign } from "./mapping.ts";

const WORDS = IOVEC_SIZE / 4;

/** Iovecs that are filled without allocation and passed on by their words (preadv) or their address (io_uring). */
export class Iovecs implements Disposable {
  /** Host address of the first. */
  readonly address: number;
  /** The array itself: address low, address high, length low, length high. */
  readonly words: IovecBlock;
  readonly #mapping: Mapping;

  /** @param capacity iovecs; the kernel takes at most 1024 in one call */
  constructor(capacity: number) {
    this.#mapping = Mapping.anonymous(pageAlign(capacity * IOVEC_SIZE));
    this.address = this.#mapping.address;
    this.words = new Uint32Array(this.#mapping.buffer(), 0, capacity * WORDS);
  }

  /**
   * Fills one.
   *
   * SAFETY: the caller has checked that the bytes lie in memory that stays mapped until the I/O is done.
   *
   * @param index below the capacity; beyond it nothing happens
   * @param address host address
   * @param length bytes, below 2³²
   */
  set(index: number, address: number, length: number): void {
    const at = index * WORDS;
    const high = Math.floor(address / 0x1_0000_0000);
    this.words[at] = address - high * 0x1_0000_0000;
    this.words[at + 1] = high;
    this.words[at + 2] = length;
  }

  /** Host address of one, to start in the middle. */
  addressAt(index: number): number {
    return this.address + index * IOVEC_SIZE;
  }

  /** Unmaps them, after every I/O that uses them has been submitted. */
  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
