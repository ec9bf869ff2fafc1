/**
 * A descriptor chain: the buffers of one request, already checked to lie in guest RAM.
 *
 * @module
 */

import type { GuestAddress } from "../memory/guest_address.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";

/**
 * The buffers of one request, readable ones first. It is a copy: what the guest does to its descriptors afterwards changes
 * nothing here. Made once and filled again and again, so that taking a request allocates nothing. Empty buffers are left out,
 * for the framing of a request must not matter (virtio 1.3 §2.7.4).
 */
export class DescriptorChain {
  /** Which descriptor began it: its name in the used ring. */
  head = 0;
  /** Buffers, none empty. */
  count = 0;
  /** The first so many buffers are readable, all others writable. */
  readableCount = 0;
  readonly #memory: GuestMemory;
  readonly #addresses: Float64Array;
  readonly #lengths: Float64Array;
  /** Total bytes: readable, writable. */
  readonly #totals = new Float64Array(2);

  /**
   * An empty chain, for {@linkcode Virtqueue.pop} to fill.
   *
   * @param memory where the buffers lie
   * @param capacity the most buffers it can hold: the queue's size
   */
  constructor(memory: GuestMemory, capacity: number) {
    this.#memory = memory;
    this.#addresses = new Float64Array(capacity);
    this.#lengths = new Float64Array(capacity);
  }

  /** Bytes the device may read. */
  get readableLength(): number {
    return this.#totals[0]!;
  }

  /** Bytes the device may write; with the readable ones together below 2^32. */
  get writableLength(): number {
    return this.#totals[1]!;
  }

  /** Where buffer `index` (below {@linkcode DescriptorChain.count}) begins. */
  address(index: number): GuestAddress {
    return this.#addresses[index]!;
  }

  /** Bytes of buffer `index`, at least one. */
  length(index: number): number {
    return this.#lengths[index]!;
  }

  /** Begins a new chain. Only a queue calls this. */
  begin(head: number): void {
    this.head = head;
    this.count = 0;
    this.readableCount = 0;
    this.#totals[0] = 0;
    this.#totals[1] = 0;
  }

  /**
   * Adds a buffer that the queue has checked. Only a queue calls this.
   *
   * @param range address and length, in an array since numbers above 2^31 that are passed on may be boxed
   */
  add(range: Float64Array, writable: boolean): void {
    this.#addresses[this.count] = range[0]!;
    this.#lengths[this.count] = range[1]!;
    this.count++;
    if (writable) this.#totals[1]! += range[1]!;
    else {
      this.#totals[0]! += range[1]!;
      this.readableCount = this.count;
    }
  }

  /**
   * Copies readable bytes out.
   *
   * @param offset into the readable bytes
   * @returns how many were copied: less than `into` holds where the request ends before
   */
  read(offset: number, into: Uint8Array): number {
    let done = 0;
    let start = 0;
    for (let i = 0; i < this.readableCount && done < into.length; i++) {
      const length = this.length(i);
      const skip = offset + done - start;
      if (skip < length) {
        const count = Math.min(length - skip, into.length - done);
        this.#memory.read(this.address(i) + skip, into.subarray(done, done + count));
        done += count;
      }
      start += length;
    }
    return done;
  }

  /**
   * Copies bytes into the writable buffers.
   *
   * @param offset into the writable bytes
   * @returns how many were copied: less than given where there is no more room
   */
  write(offset: number, bytes: Uint8Array): number {
    let done = 0;
    let start = 0;
    for (let i = this.readableCount; i < this.count && done < bytes.length; i++) {
      const length = this.length(i);
      const skip = offset + done - start;
      if (skip < length) {
        const count = Math.min(length - skip, bytes.length - done);
        this.#memory.write(this.address(i) + skip, bytes.subarray(done, done + count));
        done += count;
      }
      start += length;
    }
    return done;
  }
}
