/**
 * The driver's side of virtio, as a guest would do it: builds split rings in guest memory, fills them, polls what comes back,
 * and walks the MMIO registers. Also does what no driver should, for tests of malformed input.
 *
 * @module
 */

import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FEATURES_OK,
  VIRTIO_F_VERSION_1,
  VIRTIO_MMIO_DEVICE_FEATURES,
  VIRTIO_MMIO_DEVICE_FEATURES_SEL,
  VIRTIO_MMIO_DRIVER_FEATURES,
  VIRTIO_MMIO_DRIVER_FEATURES_SEL,
  VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
  VIRTIO_MMIO_QUEUE_DESC_HIGH,
  VIRTIO_MMIO_QUEUE_DESC_LOW,
  VIRTIO_MMIO_QUEUE_NUM,
  VIRTIO_MMIO_QUEUE_NUM_MAX,
  VIRTIO_MMIO_QUEUE_READY,
  VIRTIO_MMIO_QUEUE_SEL,
  VIRTIO_MMIO_QUEUE_USED_HIGH,
  VIRTIO_MMIO_QUEUE_USED_LOW,
  VIRTIO_MMIO_STATUS,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_DESC_SIZE,
} from "../../src/abi/virtio.ts";
import type { BusDevice } from "../../src/bus/bus_device.ts";
import { TWO_32 } from "../../src/memory/guest_address.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";

/** Where the guest memory of tests lies: low, above 2^31, and above 4 GiB, 1 MiB each. */
export const TEST_REGIONS = [0, 0xc000_0000, 0x1_0000_0000] as const;
/** Bytes of each of {@linkcode TEST_REGIONS}. */
export const TEST_REGION_SIZE = 0x10_0000;

/** Guest memory on plain buffers, with regions that show truncated and sign-extended addresses. */
export function testMemory(regionSize: number = TEST_REGION_SIZE): GuestMemory {
  return GuestMemory.onBuffers(
    TEST_REGIONS.map((guestAddress) => ({ guestAddress, buffer: new ArrayBuffer(regionSize) })),
  );
}

/** Hands out guest addresses one after another. */
export class GuestArena {
  #next: number;
  readonly #end: number;

  /**
   * @param base first address
   * @param size bytes
   */
  constructor(base: number, size: number) {
    this.#next = base;
    this.#end = base + size;
  }

  /** Takes `size` bytes. */
  take(size: number, alignment = 16): number {
    const at = Math.ceil(this.#next / alignment) * alignment;
    if (at + size > this.#end) throw new RangeError("The arena of the test is full");
    this.#next = at + size;
    return at;
  }
}

/** A descriptor as it lies in memory. */
export interface Descriptor {
  readonly address: number;
  readonly length: number;
  readonly flags?: number;
  readonly next?: number;
}

/** One buffer of a request: bytes for the device to read, or room for it to write. */
export type Buffer =
  | { readonly readable: Uint8Array | number; readonly at?: number }
  | { readonly writable: number; readonly at?: number };

/** A request that the device has given back. */
export interface Used {
  readonly head: number;
  readonly length: number;
}

interface Outstanding {
  readonly writable: readonly Descriptor[];
  readonly descriptors: readonly number[];
}

/** The driver's side of one split ring. */
export class DriverQueue {
  readonly size: number;
  readonly descAddress: number;
  readonly availAddress: number;
  readonly usedAddress: number;
  readonly memory: GuestMemory;
  readonly #arena: GuestArena;
  readonly #free: number[];
  readonly #outstanding = new Map<number, Outstanding>();
  #seenUsed = 0;

  /**
   * @param memory guest RAM
   * @param arena where rings, buffers and indirect tables are put
   * @param size entries
   */
  constructor(memory: GuestMemory, arena: GuestArena, size: number) {
    this.memory = memory;
    this.#arena = arena;
    this.size = size;
    this.descAddress = arena.take(size * VRING_DESC_SIZE, 16);
    this.availAddress = arena.take(6 + 2 * size, 2);
    this.usedAddress = arena.take(6 + 8 * size, 4);
    this.#free = Array.from({ length: size }, (_, i) => i);
  }

  /**
   * Adds a request as a driver would: fills buffers and descriptors, offers the head.
   *
   * @param options `indirect`: the whole chain in an indirect table
   * @returns the head
   */
  add(buffers: readonly Buffer[], options: { readonly indirect?: boolean } = {}): number {
    const head = this.prepare(buffers, options);
    this.offer(head);
    return head;
  }

  /** Builds a chain without offering it. */
  prepare(buffers: readonly Buffer[], options: { readonly indirect?: boolean } = {}): number {
    const chain = buffers.map((buffer) => this.#place(buffer));
    const writable = chain.filter(({ flags }) => flags === VRING_DESC_F_WRITE);
    const slots = this.#take(options.indirect ? 1 : chain.length);
    const head = slots[0] ?? 0;
    if (options.indirect) {
      const address = this.#arena.take(chain.length * VRING_DESC_SIZE);
      chain.forEach((item, i) =>
        this.writeDescriptor(address, i, link(item, i + 1 < chain.length ? i + 1 : undefined))
      );
      const length = chain.length * VRING_DESC_SIZE;
      this.setDescriptor(head, { address, length, flags: VRING_DESC_F_INDIRECT });
    } else {
      chain.forEach((item, i) => this.setDescriptor(slots[i] ?? 0, link(item, slots[i + 1])));
    }
    this.#outstanding.set(head, { writable, descriptors: slots });
    return head;
  }

  /** Writes a descriptor of the ring's table, whatever it says. */
  setDescriptor(index: number, descriptor: Descriptor): void {
    this.writeDescriptor(this.descAddress, index, descriptor);
  }

  /** Writes a descriptor of any table. */
  writeDescriptor(
    table: number,
    index: number,
    { address, length, flags, next }: Descriptor,
  ): void {
    const at = table + index * VRING_DESC_SIZE;
    this.memory.writeU32(at, address % TWO_32);
    this.memory.writeU32(at + 4, Math.trunc(address / TWO_32));
    this.memory.writeU32(at + 8, length);
    this.memory.writeU16(at + 12, flags ?? 0);
    this.memory.writeU16(at + 14, next ?? 0);
  }

  /** Puts a head into the available ring and shows it. */
  offer(head: number): void {
    const index = this.availIdx;
    this.memory.writeU16(this.availAddress + 4 + (index % this.size) * 2, head);
    this.availIdx = (index + 1) % 0x1_0000;
  }

  /** The driver's index: how many it has offered, modulo 2^16. */
  get availIdx(): number {
    return this.memory.readU16(this.availAddress + 2);
  }

  set availIdx(value: number) {
    this.memory.writeU16(this.availAddress + 2, value);
  }

  /** Spare me interrupts. */
  set noInterrupt(value: boolean) {
    this.memory.writeU16(this.availAddress, value ? 1 : 0);
  }

  /** The used index after which an interrupt is wanted. */
  set usedEvent(value: number) {
    this.memory.writeU16(this.availAddress + 4 + 2 * this.size, value);
  }

  /** The device's index. */
  get usedIdx(): number {
    return this.memory.readU16(this.usedAddress + 2);
  }

  /** The device's flags: 1 asks to be spared notifications. */
  get usedFlags(): number {
    return this.memory.readU16(this.usedAddress);
  }

  /** The available index after which the device wants a notification. */
  get availEvent(): number {
    return this.memory.readU16(this.usedAddress + 4 + 8 * this.size);
  }

  /** Starts both indices elsewhere; the device's own have to be set to the same. */
  startAt(index: number): void {
    this.availIdx = index;
    this.memory.writeU16(this.usedAddress + 2, index);
    this.#seenUsed = index;
  }

  /** What the device has given back since the last time; its descriptors may be used again. */
  used(): readonly Used[] {
    const found: Used[] = [];
    for (; this.#seenUsed !== this.usedIdx; this.#seenUsed = (this.#seenUsed + 1) % 0x1_0000) {
      const at = this.usedAddress + 4 + (this.#seenUsed % this.size) * 8;
      const head = this.memory.readU32(at);
      found.push({ head, length: this.memory.readU32(at + 4) });
      this.#free.push(...this.#outstanding.get(head)?.descriptors ?? []);
    }
    return found;
  }

  /** All bytes of the writable buffers of the request that last had this head. */
  written(head: number): Uint8Array {
    const parts = this.#outstanding.get(head)?.writable ?? [];
    return new Uint8Array(
      parts.flatMap(({ address, length }) => [...this.memory.bytes(address, length)]),
    );
  }

  /** Descriptors that a driver could still use. */
  get free(): number {
    return this.#free.length;
  }

  #take(count: number): number[] {
    if (count > this.#free.length) {
      throw new RangeError("The driver of the test has no descriptors left");
    }
    return this.#free.splice(0, count);
  }

  #place(buffer: Buffer): Descriptor {
    if ("writable" in buffer) {
      const address = buffer.at ?? this.#arena.take(buffer.writable, 1);
      return { address, length: buffer.writable, flags: VRING_DESC_F_WRITE };
    }
    const bytes = typeof buffer.readable === "number"
      ? new Uint8Array(buffer.readable)
      : buffer.readable;
    const address = buffer.at ?? this.#arena.take(bytes.length, 1);
    this.memory.write(address, bytes);
    return { address, length: bytes.length, flags: 0 };
  }
}

function link(descriptor: Descriptor, next: number | undefined): Descriptor {
  if (next === undefined) return descriptor;
  return { ...descriptor, flags: (descriptor.flags ?? 0) | VRING_DESC_F_NEXT, next };
}

/** What a driver asks for. */
export interface Handshake {
  /** Features to take beside VERSION_1; all that are offered where absent. */
  readonly features?: readonly number[];
  /** Sizes of the queues; the most that each can have where absent. */
  readonly queueSizes?: readonly number[];
}

/** Walks a device's MMIO registers as a driver does (virtio 1.3 §3.1.1, §4.2.3). */
export class Driver {
  readonly device: BusDevice;
  readonly memory: GuestMemory;
  /** Where rings and buffers go. */
  arena: GuestArena;
  /** After {@linkcode Driver.initialize}. */
  queues: DriverQueue[] = [];
  /** Features that were taken. */
  features: readonly number[] = [];

  /**
   * @param device the front
   * @param memory guest RAM
   * @param arena where rings and buffers go; most of the region above 4 GiB where absent
   */
  constructor(device: BusDevice, memory: GuestMemory, arena?: GuestArena) {
    this.device = device;
    this.memory = memory;
    this.arena = arena ?? new GuestArena(TEST_REGIONS[2] + 0x1000, TEST_REGION_SIZE - 0x2000);
  }

  /** Reads a control register. */
  read(register: number): number {
    return this.device.read(register, 4);
  }

  /** Writes a control register. */
  write(register: number, value: number): void {
    this.device.write(register, 4, value);
  }

  /** The device status register. */
  get status(): number {
    return this.read(VIRTIO_MMIO_STATUS);
  }

  set status(value: number) {
    this.write(VIRTIO_MMIO_STATUS, value);
  }

  /** Bit numbers of all features that the device offers. */
  offered(): readonly number[] {
    return [0, 1].flatMap((half) => {
      this.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
      const bits = this.read(VIRTIO_MMIO_DEVICE_FEATURES);
      return Array.from({ length: 32 }, (_, i) => i).filter((i) => Math.trunc(bits / 2 ** i) % 2)
        .map((i) => i + 32 * half);
    });
  }

  /** Takes features; nothing is checked. */
  takeFeatures(features: readonly number[]): void {
    this.features = features;
    for (const half of [0, 1]) {
      const bits = features.filter((bit) => Math.trunc(bit / 32) === half)
        .reduce((sum, bit) => sum + 2 ** (bit % 32), 0);
      this.write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
      this.write(VIRTIO_MMIO_DRIVER_FEATURES, bits);
    }
  }

  /** Sets the registers of a queue, whatever they say. */
  setQueue(index: number, queue: DriverQueue, size: number = queue.size): void {
    this.write(VIRTIO_MMIO_QUEUE_SEL, index);
    this.write(VIRTIO_MMIO_QUEUE_NUM, size);
    this.#address(VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, queue.descAddress);
    this.#address(VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, queue.availAddress);
    this.#address(VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH, queue.usedAddress);
    this.write(VIRTIO_MMIO_QUEUE_READY, 1);
  }

  /** Acknowledges and negotiates, up to FEATURES_OK. */
  negotiate(handshake: Handshake = {}): void {
    this.status = 0;
    this.status = VIRTIO_CONFIG_S_ACKNOWLEDGE;
    this.status = this.status | VIRTIO_CONFIG_S_DRIVER;
    const wanted = handshake.features;
    this.takeFeatures(wanted ? [VIRTIO_F_VERSION_1, ...wanted] : this.offered());
    this.status = this.status | VIRTIO_CONFIG_S_FEATURES_OK;
    if ((this.status & VIRTIO_CONFIG_S_FEATURES_OK) === 0) {
      throw new Error("FEATURES_OK was refused");
    }
  }

  /** Sets all queues up with fresh rings. */
  setQueues(sizes: readonly number[] = []): void {
    this.queues = [];
    for (let index = 0;; index++) {
      this.write(VIRTIO_MMIO_QUEUE_SEL, index);
      const most = this.read(VIRTIO_MMIO_QUEUE_NUM_MAX);
      if (most === 0) break;
      const queue = new DriverQueue(this.memory, this.arena, sizes[index] ?? most);
      this.setQueue(index, queue);
      this.queues.push(queue);
    }
  }

  /** All of initialization, up to DRIVER_OK. */
  initialize(handshake: Handshake = {}): void {
    this.negotiate(handshake);
    this.setQueues(handshake.queueSizes);
    this.status = this.status | VIRTIO_CONFIG_S_DRIVER_OK;
  }

  /** Whether EVENT_IDX was taken. */
  get eventIdx(): boolean {
    return this.features.includes(VIRTIO_RING_F_EVENT_IDX);
  }

  /** Whether INDIRECT_DESC was taken. */
  get indirect(): boolean {
    return this.features.includes(VIRTIO_RING_F_INDIRECT_DESC);
  }

  #address(low: number, high: number, address: number): void {
    this.write(low, address % TWO_32);
    this.write(high, Math.trunc(address / TWO_32));
  }
}
