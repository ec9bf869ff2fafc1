/**
 * What a disk is to the device in front of it: bytes at offsets, moved straight between the host's file and guest RAM.
 *
 * @module
 */

import { IOVEC_SIZE } from "../abi/linux.ts";
import type { IovecBlock } from "../host/file.ts";
import { Iovecs } from "../host/iovecs.ts";

/** What a request does. `discard` lets the range's content go; `zero` makes it read as zeros. */
export type DiskOperation = "read" | "write" | "flush" | "discard" | "zero" | "zero-unmap";

/** Most iovecs of a request: as many as a virtqueue of 256 entries can chain. */
export const MAX_SEGMENTS = 256;

const WORDS_PER_IOVEC = IOVEC_SIZE / 4;
const TWO_32 = 2 ** 32;

/** A request, one of a {@linkcode DiskRequestPool}: nothing is allocated while requests run. */
export class DiskRequest {
  /** Which of the pool's requests this is. */
  readonly index: number;
  /** Host memory of the data in `struct iovec`s, of which {@linkcode DiskRequest.count} are used. */
  readonly iovecs: IovecBlock;
  /** What to do. */
  operation: DiskOperation = "read";
  /** First byte on the disk. */
  offset = 0;
  /** Bytes to move, which is the sum of the iovecs' lengths, or bytes to discard or zero. */
  length = 0;
  /** Iovecs in use. */
  count = 0;
  /** Bytes that an earlier, short transfer of this request has moved. */
  done = 0;
  /** How often the kernel has asked to try again. */
  retries = 0;
  /** Host address of {@linkcode DiskRequest.iovecs}. */
  readonly iovecsAddress: number;

  /**
   * A request of a pool, which gives it its iovecs.
   *
   * @param index which of the pool's
   */
  constructor(index: number, iovecs: IovecBlock, iovecsAddress: number) {
    this.index = index;
    this.iovecs = iovecs;
    this.iovecsAddress = iovecsAddress;
  }

  /** Starts over: another operation at another place, without data so far. */
  begin(operation: DiskOperation, offset: number): void {
    this.operation = operation;
    this.offset = offset;
    this.length = 0;
    this.count = 0;
    this.done = 0;
    this.retries = 0;
  }

  /**
   * Adds data.
   *
   * @param hostAddress of memory that stays mapped until the request has ended
   * @param length bytes, below 2 ** 32
   * @returns false where all {@linkcode MAX_SEGMENTS} iovecs are in use
   */
  append(hostAddress: number, length: number): boolean {
    if (this.count === MAX_SEGMENTS) return false;
    const at = this.count * WORDS_PER_IOVEC;
    this.iovecs[at] = hostAddress % TWO_32;
    this.iovecs[at + 1] = Math.trunc(hostAddress / TWO_32);
    this.iovecs[at + 2] = length;
    this.iovecs[at + 3] = 0;
    this.count++;
    this.length += length;
    return true;
  }

  /**
   * Whether what is left of it may go past the page cache.
   *
   * @param alignment power of two that place, addresses and lengths must be multiples of
   */
  isAligned(alignment: number): boolean {
    if ((this.offset + this.done) % alignment !== 0) return false;
    for (let i = 0; i < this.count; i++) {
      const at = i * WORDS_PER_IOVEC;
      // The low half of an address is enough to see it.
      if (this.iovecs[at]! % alignment !== 0 || this.iovecs[at + 2]! % alignment !== 0) {
        return false;
      }
    }
    return true;
  }

  /** Takes note of a short transfer: what is left moves to the front, ready to be issued again. */
  advance(bytes: number): void {
    this.done += bytes;
    let first = 0;
    let left = bytes;
    while (first < this.count && left >= (this.iovecs[first * WORDS_PER_IOVEC + 2] ?? 0)) {
      left -= this.iovecs[first * WORDS_PER_IOVEC + 2] ?? 0;
      first++;
    }
    this.iovecs.copyWithin(0, first * WORDS_PER_IOVEC, this.count * WORDS_PER_IOVEC);
    this.count -= first;
    if (left > 0) this.#trimFirst(left);
  }

  #trimFirst(bytes: number): void {
    const low = (this.iovecs[0] ?? 0) + bytes;
    this.iovecs[0] = low % TWO_32;
    this.iovecs[1] = (this.iovecs[1] ?? 0) + Math.trunc(low / TWO_32);
    this.iovecs[2] = (this.iovecs[2] ?? 0) - bytes;
  }
}

/** Requests that are made once and used again and again. */
export class DiskRequestPool implements Disposable {
  /** The requests, each at its index. */
  readonly requests: readonly DiskRequest[];
  readonly #iovecs: Iovecs;

  /**
   * A pool of requests with room for {@linkcode MAX_SEGMENTS} iovecs each.
   *
   * @param count how many can run at a time
   */
  constructor(count: number) {
    const iovecs = new Iovecs(count * MAX_SEGMENTS);
    const words = MAX_SEGMENTS * WORDS_PER_IOVEC;
    this.#iovecs = iovecs;
    this.requests = Array.from({ length: count }, (_, index) => {
      const block = iovecs.words.subarray(index * words, (index + 1) * words);
      return new DiskRequest(index, block, iovecs.addressAt(index * MAX_SEGMENTS));
    });
  }

  /** Unmaps the iovecs: no request may run any more. */
  [Symbol.dispose](): void {
    this.#iovecs[Symbol.dispose]();
  }
}

/** Told of the end of a request: 0 when all of it was done, else a negative errno. */
export type DiskCompletion = (request: DiskRequest, result: number) => void;

/** A disk. Offsets and lengths that it gets are inside its size: the device has checked them. */
export interface Disk extends Disposable {
  /** A descriptor that becomes readable when requests have ended, or -1 where they end before `start` returns. */
  readonly event: number;
  /** Takes a request, which is the disk's until its completion is called; that may be at once. */
  start(request: DiskRequest): void;
  /** Hands what was started since the last time to the kernel. */
  submit(): void;
  /** Calls the completions of all requests that have ended; what they start in turn is submitted too. */
  reap(): void;
  /** Waits until every request has ended, and calls their completions. */
  drain(): void;
}
