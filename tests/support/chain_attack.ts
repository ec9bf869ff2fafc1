/**
 * A driver that offers random chains on one queue of a device, and a model of what the device does with them: it works on a copy
 * of guest memory, which must be what memory is afterwards.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { VIRTIO_RING_F_INDIRECT_DESC } from "../../src/abi/virtio.ts";
import { TWO_32 } from "../../src/memory/guest_address.ts";
import type { GuestMemory } from "../../src/memory/guest_memory.ts";
import { type DriverQueue, GuestArena, TEST_REGIONS, type Used } from "./driver.ts";
import type { Random } from "./random.ts";
import { chainOf, copyOf, type ModelBuffer } from "./ring_model.ts";
import type { VirtioBench } from "./virtio_bench.ts";

/** What the device does with a chain: writes to `memory`, and gives the used length; undefined where the chain has to wait. */
export type Serve = (buffers: readonly ModelBuffer[], memory: GuestMemory) => number | undefined;

/** How chains look most of the time: what their buffers are for, or the bytes that they bring. */
export type Kind = "readable" | "writable" | "any" | Uint8Array<ArrayBuffer>;

/** A model of the device's side of one queue. */
export interface QueueModel {
  /** Whether the device takes chains at all; it does where absent. */
  readonly takes?: () => boolean;
  readonly serve: Serve;
}

const LENGTHS = [0, 1, 7, 8, 16, 40, 100, 512, 1000] as const;

/** Attacks one queue, from the driver's initialization to its reset. Its buffers lie in a quarter of a data region of their own. */
export class ChainAttack {
  readonly #bench: VirtioBench;
  readonly #index: number;
  readonly #queue: DriverQueue;
  readonly #model: QueueModel;
  readonly #arena: GuestArena;
  readonly #free: number[];
  /** Heads that the device has not given back, and the descriptors of each. */
  readonly #waiting: { readonly head: number; readonly slots: readonly number[] }[] = [];

  /**
   * @param index of the queue
   * @param model of what the device does
   */
  constructor(bench: VirtioBench, index: number, model: QueueModel) {
    const queue = bench.driver.queues[index];
    if (queue === undefined) throw new Error(`There is no queue ${index}`);
    const quarter = (bench.memory.regions[0]?.size ?? 0) / 4;
    this.#bench = bench;
    this.#index = index;
    this.#queue = queue;
    this.#model = model;
    const region = index % 2 === 0 ? TEST_REGIONS[0] : TEST_REGIONS[1];
    this.#arena = new GuestArena(region + Math.trunc(index / 2) % 4 * quarter, quarter);
    this.#free = Array.from({ length: queue.size }, (_, i) => i);
  }

  /** Offers a chain, mostly well-formed, while there is room for one. */
  offer(random: Random, kind: Kind): void {
    const indirect = this.#bench.driver.indirect && random.chance(0.3);
    const count = random.between(1, 4);
    if (this.#free.length < count) return;
    const pieces = typeof kind === "string"
      ? this.#randomPieces(random, count, kind)
      : this.#cut(random, count, kind);
    if (pieces === undefined) return;
    const slots = this.#free.splice(0, indirect ? 1 : count);
    const table = indirect ? this.#take(16 * count) : this.#queue.descAddress;
    if (table === undefined) return;
    pieces.forEach((piece, i) => {
      const at = indirect ? i : slots[i] ?? 0;
      const next = indirect ? i + 1 : slots[i + 1] ?? 0;
      const flags = (piece.writable ? 2 : 0) + (i + 1 < count ? 1 : 0);
      const sane = { address: piece.address, length: piece.length, flags, next };
      this.#queue.writeDescriptor(table, at, random.chance(0.04) ? spoilt(random, sane) : sane);
    });
    const [head = 0] = slots;
    if (indirect) {
      this.#queue.setDescriptor(head, { address: table, length: 16 * count, flags: 4 });
    }
    this.#queue.offer(head);
    this.#waiting.push({ head, slots });
  }

  /** Serves chains on the model's memory as far as that goes; gives what has to be in the used ring then. */
  expect(model: GuestMemory): readonly Used[] {
    const used: Used[] = [];
    const indirect = this.#bench.driver.features.includes(VIRTIO_RING_F_INDIRECT_DESC);
    const { takes, serve } = this.#model;
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      if (takes?.() === false) break;
      const buffers = chainOf(this.#queue, first.head, indirect, model);
      const length = buffers === undefined ? 0 : serve(buffers, model);
      if (length === undefined) break;
      this.#waiting.shift();
      this.#free.push(...first.slots);
      used.push({ head: first.head, length });
    }
    return used;
  }

  /** Notifies the queue. */
  notify(): void {
    this.#bench.notify(this.#index);
  }

  /** What the device has given back. */
  used(): readonly Used[] {
    return this.#queue.used();
  }

  /** Takes the used ring, which the model does not write, from memory to the model. */
  adoptRing(model: GuestMemory): void {
    const length = 6 + 8 * this.#queue.size;
    model.write(
      this.#queue.usedAddress,
      this.#bench.memory.bytes(this.#queue.usedAddress, length),
    );
  }

  #randomPieces(
    random: Random,
    count: number,
    kind: "readable" | "writable" | "any",
  ): Piece[] | undefined {
    const readable = { readable: count, writable: 0, any: random.below(count + 1) }[kind];
    const pieces: Piece[] = [];
    for (let i = 0; i < count; i++) {
      const length = random.pick(LENGTHS);
      const address = this.#take(length);
      if (address === undefined) return undefined;
      const writable = random.chance(0.02) ? i < readable : i >= readable;
      pieces.push({ address, length, writable });
      if (!writable) this.#bench.memory.write(address, random.bytes(length));
    }
    return pieces;
  }

  #cut(random: Random, count: number, bytes: Uint8Array): Piece[] | undefined {
    const ends = Array.from({ length: count - 1 }, () => random.below(bytes.length + 1));
    const cuts = [0, ...ends.sort((a, b) => a - b), bytes.length];
    const base = this.#take(bytes.length);
    if (base === undefined) return undefined;
    this.#bench.memory.write(base, bytes);
    return cuts.slice(1).map((end, i) => {
      const start = cuts[i] ?? 0;
      return { address: base + start, length: end - start, writable: false };
    });
  }

  /** Memory of this queue's own, as long as there is some. */
  #take(length: number): number | undefined {
    try {
      return this.#arena.take(length, 1);
    } catch {
      return undefined;
    }
  }
}

interface Piece {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}

/** A descriptor with one field that is wrong, or at least another. */
function spoilt<Sane extends { readonly address: number }>(random: Random, sane: Sane): Sane {
  switch (random.below(4)) {
    case 0:
      return { ...sane, address: random.hostile32() + random.pick([2, 3, 2 ** 20]) * TWO_32 };
    case 1:
      return { ...sane, length: 0x8000_0000 + random.below(0x8000_0000) };
    case 2:
      return { ...sane, flags: random.below(0x1_0000) };
    default:
      return { ...sane, next: random.below(0x1_0000) };
  }
}

/**
 * Runs the model of some queues, one after the other, then the device, and compares: used rings, and all of memory.
 *
 * @param finish lets the device finish, and tells the model what it could not know
 */
export function settle(
  bench: VirtioBench,
  attacks: readonly ChainAttack[],
  finish: (model: GuestMemory) => void = () => {},
): void {
  const model = copyOf(bench.memory);
  const expected = attacks.map((attack) => attack.expect(model));
  for (const attack of attacks) attack.notify();
  finish(model);
  assertEquals(attacks.map((attack) => attack.used()), expected);
  for (const attack of attacks) attack.adoptRing(model);
  for (const { guestAddress, size } of bench.memory.regions) {
    const now = bench.memory.bytes(guestAddress, size);
    const wanted = model.bytes(guestAddress, size);
    let same = 0;
    while (same < size && now[same] === wanted[same]) same++;
    assertEquals(same, size, `memory at 0x${(guestAddress + same).toString(16)}`);
  }
}

/** The bytes of a chain's readable buffers. */
export function readableBytes(
  buffers: readonly ModelBuffer[],
  memory: GuestMemory,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    buffers.filter(({ writable }) => !writable)
      .flatMap(({ address, length }) => [...memory.bytes(Number(address), Number(length))]),
  );
}

/** Room in a chain's writable buffers. */
export function roomIn(buffers: readonly ModelBuffer[]): number {
  return buffers.reduce((sum, { length, writable }) => sum + (writable ? Number(length) : 0), 0);
}

/** Writes bytes to the writable buffers, as far as there is room. */
export function fill(
  buffers: readonly ModelBuffer[],
  memory: GuestMemory,
  bytes: Uint8Array,
): void {
  let at = 0;
  for (const { address, length, writable } of buffers) {
    if (!writable) continue;
    const part = bytes.subarray(at, at + Number(length));
    memory.write(Number(address), part);
    at += part.length;
  }
}
