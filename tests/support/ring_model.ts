/**
 * What a split ring means, written a second time and without regard to speed: 64-bit numbers are bigints, nothing is cached.
 * Fuzz tests hold the real queue against it.
 *
 * @module
 */

import { GuestMemory } from "../../src/memory/guest_memory.ts";
import type { DriverQueue } from "./driver.ts";

/** A buffer of a chain. */
export interface ModelBuffer {
  readonly address: bigint;
  readonly length: bigint;
  readonly writable: boolean;
}

/**
 * The buffers that the chain at `head` holds (empty ones left out), or undefined where it is malformed.
 *
 * @param memory where the tables are read: the guest's, or a copy of it
 */
export function chainOf(
  driver: DriverQueue,
  head: number,
  indirect: boolean,
  memory: GuestMemory = driver.memory,
): readonly ModelBuffer[] | undefined {
  const buffers: ModelBuffer[] = [];
  const { size } = driver;
  let table = BigInt(driver.descAddress);
  let entries = size;
  let inTable = false;
  let index = head;
  let seen = 0;
  for (;;) {
    if (index >= entries) return undefined;
    if (seen === size) return undefined;
    const at = Number(table) + 16 * index;
    const address = BigInt(memory.readU32(at)) + (BigInt(memory.readU32(at + 4)) << 32n);
    const length = BigInt(memory.readU32(at + 8));
    const flags = memory.readU16(at + 12);
    const next = memory.readU16(at + 14);
    if ((flags & 4) !== 0) {
      const count = length / 16n;
      if (!indirect || inTable || (flags & 1) !== 0) return undefined;
      if (length % 16n !== 0n || count === 0n || count > BigInt(size)) return undefined;
      if (!inRam(memory, address, length)) return undefined;
      [table, entries, inTable, index] = [address, Number(count), true, 0];
      continue;
    }
    seen++;
    if (length > 0n) {
      if (!inRam(memory, address, length)) return undefined;
      buffers.push({ address, length, writable: (flags & 2) !== 0 });
    }
    if ((flags & 1) === 0) break;
    index = next;
  }
  const firstWritable = buffers.findIndex(({ writable }) => writable);
  const ordered = firstWritable < 0 || buffers.slice(firstWritable).every((b) => b.writable);
  const total = buffers.reduce((sum, { length }) => sum + length, 0n);
  return ordered && total < 1n << 32n ? buffers : undefined;
}

/** Whether a range lies in one region of RAM. */
export function inRam(memory: GuestMemory, address: bigint, length: bigint): boolean {
  return memory.regions.some(({ guestAddress, size }) =>
    address >= BigInt(guestAddress) && address + length <= BigInt(guestAddress + size)
  );
}

/** A copy that a model may write to. */
export function copyOf(memory: GuestMemory): GuestMemory {
  return GuestMemory.onBuffers(memory.regions.map(({ guestAddress, size }) => ({
    guestAddress,
    buffer: new Uint8Array(memory.bytes(guestAddress, size)).buffer,
  })));
}

/** A copy of guest memory, and what may differ from it. */
export class MemoryShadow {
  readonly #memory: GuestMemory;
  readonly #copies: readonly Uint8Array[];
  readonly #allowed: readonly Uint8Array[];

  /** @param memory copied now */
  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.#copies = memory.regions.map(({ guestAddress, size }) =>
      memory.bytes(guestAddress, size).slice()
    );
    this.#allowed = this.#copies.map((copy) => new Uint8Array(copy.length));
  }

  /** Lets a range differ. */
  allow(address: number, length: number): void {
    this.#memory.regions.forEach(({ guestAddress, size }, i) => {
      const start = Math.max(0, address - guestAddress);
      const end = Math.min(size, address + length - guestAddress);
      if (start < end) this.#allowed[i]?.fill(1, start, end);
    });
  }

  /** The first address outside the allowed ranges that has changed. */
  firstChange(): number | undefined {
    for (const [i, { guestAddress, size }] of this.#memory.regions.entries()) {
      const now = this.#memory.bytes(guestAddress, size);
      const copy = this.#copies[i] ?? now;
      const allowed = this.#allowed[i] ?? now;
      for (let at = 0; at < now.length; at++) {
        if (now[at] !== copy[at] && allowed[at] === 0) return guestAddress + at;
      }
    }
    return undefined;
  }
}
