/**
 * One queue's registers and indices in the device's block of shared state: written by the transport, read by the back when
 * the driver says DRIVER_OK, saved by a snapshot.
 *
 * @module
 */

import { sizeof, struct } from "../base/struct.ts";
import { fromHalves, type GuestAddress } from "../memory/guest_address.ts";

/** A queue's words; a cache line of its own. */
const Queue = struct({
  maxSize: "u32",
  size: "u32",
  ready: "u32",
  descLow: "u32",
  descHigh: "u32",
  driverLow: "u32",
  driverHigh: "u32",
  deviceLow: "u32",
  deviceHigh: "u32",
  nextAvail: "u32",
  nextUsed: "u32",
  malformed: "u32",
}, { size: 64 });

/** Bytes of one queue in shared state. */
export const QUEUE_STATE_SIZE = sizeof(Queue);

/** What a driver sets of a queue before it is ready: its size, and the halves of three guest addresses. */
export type QueueField =
  | "size"
  | "descLow"
  | "descHigh"
  | "driverLow"
  | "driverHigh"
  | "deviceLow"
  | "deviceHigh";

/** One queue's part of the state block. Every value here was chosen by the guest: whoever uses one checks it. */
export class QueueState {
  readonly #words: Uint32Array;
  readonly #at: number;

  /**
   * @param words the shared state as unsigned 32-bit words
   * @param offset of the queue's {@linkcode QUEUE_STATE_SIZE} bytes
   */
  constructor(words: Uint32Array, offset: number) {
    this.#words = words;
    this.#at = offset / 4;
  }

  /** Entries that the device can handle at most. */
  get maxSize(): number {
    return this.#load(Queue.maxSize);
  }

  /** Entries that the driver wants. */
  get size(): number {
    return this.#load(Queue.size);
  }

  /** Whether the driver says that the queue may be used. */
  get ready(): boolean {
    return this.#load(Queue.ready) !== 0;
  }

  set ready(value: boolean) {
    this.#store(Queue.ready, value ? 1 : 0);
  }

  /** Descriptor area: the split ring's descriptor table. */
  get descriptorArea(): GuestAddress {
    return fromHalves(this.#load(Queue.descLow), this.#load(Queue.descHigh));
  }

  /** Driver area: the split ring's available ring. */
  get driverArea(): GuestAddress {
    return fromHalves(this.#load(Queue.driverLow), this.#load(Queue.driverHigh));
  }

  /** Device area: the split ring's used ring. */
  get deviceArea(): GuestAddress {
    return fromHalves(this.#load(Queue.deviceLow), this.#load(Queue.deviceHigh));
  }

  /** Index, modulo 2^16, of the available entry that the device takes next. */
  get nextAvail(): number {
    return this.#load(Queue.nextAvail);
  }

  set nextAvail(value: number) {
    this.#words[this.#at + Queue.nextAvail / 4] = value;
  }

  /** Index, modulo 2^16, of the used entry that the device publishes next. */
  get nextUsed(): number {
    return this.#load(Queue.nextUsed);
  }

  set nextUsed(value: number) {
    this.#words[this.#at + Queue.nextUsed / 4] = value;
  }

  /** Descriptor chains refused since the machine was made: for metrics. */
  get malformed(): number {
    return this.#load(Queue.malformed);
  }

  /** Counts a refused chain. */
  countMalformed(): void {
    Atomics.add(this.#words, this.#at + Queue.malformed / 4, 1);
  }

  /** Sets what the driver chooses. */
  set(field: QueueField, value: number): void {
    this.#store(Queue[field], value);
  }

  /** As after power-on, with as many entries as the device can handle. */
  clear(maxSize: number = this.maxSize): void {
    this.#words.fill(0, this.#at, this.#at + Queue.malformed / 4);
    this.#store(Queue.maxSize, maxSize);
    this.#store(Queue.size, maxSize);
  }

  #load(offset: number): number {
    return Atomics.load(this.#words, this.#at + offset / 4);
  }

  #store(offset: number, value: number): void {
    Atomics.store(this.#words, this.#at + offset / 4, value);
  }
}
