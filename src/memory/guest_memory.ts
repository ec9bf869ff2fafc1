/**
 * The one checked door to guest RAM. Every access names a guest physical address and a length, both of which a hostile
 * guest may have chosen; what is not wholly inside one RAM region is refused before anything is touched.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { GuestAddress } from "./guest_address.ts";

/** A RAM region as plain data: what a worker needs to see the same memory. */
export interface RegionDescriptor {
  /** First guest physical address. */
  readonly guestAddress: GuestAddress;
  /** Bytes. */
  readonly size: number;
  /** Address of the first byte in this process; 0 where the memory is a plain ArrayBuffer in a test. */
  readonly hostAddress: number;
}

/** Makes an ArrayBuffer that aliases `length` bytes at a host address: `viewAt` of the host room. */
export type ViewAt = (hostAddress: number, length: number) => ArrayBuffer;

/** A chunk of a region that one view can show. */
interface Chunk {
  readonly start: GuestAddress;
  readonly end: GuestAddress;
  readonly hostAddress: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

/** Views of 32 GiB and more kill Deno 2.7, so a region is shown by several of at most this size. */
const CHUNK_SIZE = 16 * 2 ** 30;

/** Neighbouring chunks overlap by this, so that any ring or field lies whole in one of them. */
const CHUNK_OVERLAP = 2 ** 20;

/** Guest RAM as seen by one isolate. */
export class GuestMemory {
  /** The regions in ascending order, as plain data for another isolate. */
  readonly regions: readonly RegionDescriptor[];
  readonly #chunks: readonly Chunk[];
  /** Offset in the chunk that {@linkcode GuestMemory.#chunkAt} found last. */
  #offset = 0;

  private constructor(regions: readonly RegionDescriptor[], chunks: readonly Chunk[]) {
    this.regions = regions;
    this.#chunks = chunks;
  }

  /**
   * Guest RAM that is mapped in this process.
   *
   * @param regions ascending and disjoint; whoever made the mappings keeps them until this object is no longer used
   * @param viewAt makes the views
   * @param chunkSize most bytes of a view, above 1 MiB
   */
  static map(
    regions: readonly RegionDescriptor[],
    viewAt: ViewAt,
    chunkSize: number = CHUNK_SIZE,
  ): GuestMemory {
    const chunks: Chunk[] = [];
    for (const region of regions) {
      for (let at = 0;; at += chunkSize - CHUNK_OVERLAP) {
        const length = Math.min(chunkSize, region.size - at);
        const hostAddress = region.hostAddress + at;
        chunks.push(chunk(region.guestAddress + at, hostAddress, viewAt(hostAddress, length)));
        if (at + length === region.size) break;
      }
    }
    return new GuestMemory(regions, chunks);
  }

  /** Guest RAM on plain buffers, without a mapping: for tests. Host addresses are the guest's own. */
  static onBuffers(
    parts: readonly { readonly guestAddress: GuestAddress; readonly buffer: ArrayBuffer }[],
  ): GuestMemory {
    return new GuestMemory(
      parts.map(({ guestAddress, buffer }) => ({
        guestAddress,
        size: buffer.byteLength,
        hostAddress: guestAddress,
      })),
      parts.map(({ guestAddress, buffer }) => chunk(guestAddress, guestAddress, buffer)),
    );
  }

  /** Guest physical address of the first byte of RAM. */
  get base(): GuestAddress {
    return this.regions[0]?.guestAddress ?? 0;
  }

  /** Bytes of RAM in all regions. */
  get size(): number {
    return this.regions.reduce((sum, region) => sum + region.size, 0);
  }

  /** Whether `length` bytes at `address` are RAM, all in one region; never for a length below 0. */
  contains(address: GuestAddress, length: number): boolean {
    return this.#regionAt(address, length) !== undefined;
  }

  /**
   * As {@linkcode GuestMemory.contains}, for hot paths: a number above 2 ** 31 that is passed to a function may be boxed, one in
   * a typed array is not.
   *
   * @param range address and length
   */
  containsRange(range: Float64Array): boolean {
    for (let i = 0; i < this.regions.length; i++) {
      const region = this.regions[i]!;
      const offset = range[0]! - region.guestAddress;
      if (offset >= 0 && offset + range[1]! <= region.size) return true;
    }
    return false;
  }

  /**
   * The view that shows a range, for hot paths that read several fields of it. Allocates nothing.
   *
   * @param range address and length, at most 1 MiB; its third element becomes the offset in the view
   * @returns undefined where the range is not RAM
   */
  viewOfRange(range: Float64Array): DataView | undefined {
    for (let i = 0; i < this.#chunks.length; i++) {
      const found = this.#chunks[i]!;
      if (range[0]! >= found.start && range[0]! + range[1]! <= found.end) {
        range[2] = range[0]! - found.start;
        return found.view;
      }
    }
    return undefined;
  }

  /** Reads a byte. */
  readU8(address: GuestAddress): number {
    const found = this.#chunkAt(address, 1);
    return found.view.getUint8(this.#offset);
  }

  /** Reads 16 bits, little-endian, at any alignment. */
  readU16(address: GuestAddress): number {
    const found = this.#chunkAt(address, 2);
    return found.view.getUint16(this.#offset, true);
  }

  /** Reads 32 bits, little-endian, at any alignment. */
  readU32(address: GuestAddress): number {
    const found = this.#chunkAt(address, 4);
    return found.view.getUint32(this.#offset, true);
  }

  /** Writes a byte. */
  writeU8(address: GuestAddress, value: number): void {
    const found = this.#chunkAt(address, 1);
    found.view.setUint8(this.#offset, value);
  }

  /** Writes 16 bits, little-endian, at any alignment. */
  writeU16(address: GuestAddress, value: number): void {
    const found = this.#chunkAt(address, 2);
    found.view.setUint16(this.#offset, value, true);
  }

  /** Writes 32 bits, little-endian, at any alignment. */
  writeU32(address: GuestAddress, value: number): void {
    const found = this.#chunkAt(address, 4);
    found.view.setUint32(this.#offset, value, true);
  }

  /** Fills `into` from guest memory at `address`. Throws before anything is copied where the range is not RAM. */
  read(address: GuestAddress, into: Uint8Array): void {
    this.#require(address, into.length);
    for (let done = 0; done < into.length;) {
      const found = this.#chunkAt(address + done, 1);
      const count = Math.min(into.length - done, found.bytes.length - this.#offset);
      into.set(found.bytes.subarray(this.#offset, this.#offset + count), done);
      done += count;
    }
  }

  /** Copies `bytes` to guest memory at `address`. Throws before anything is written where the range is not RAM. */
  write(address: GuestAddress, bytes: Uint8Array): void {
    this.#require(address, bytes.length);
    for (let done = 0; done < bytes.length;) {
      const found = this.#chunkAt(address + done, 1);
      const count = Math.min(bytes.length - done, found.bytes.length - this.#offset);
      found.bytes.set(bytes.subarray(done, done + count), this.#offset);
      done += count;
    }
  }

  /**
   * Address in this process of `length` bytes at `address`, for iovecs. It is contiguous, and valid as long as the
   * mapping is: no I/O aimed at it may outlive the machine.
   */
  hostAddress(address: GuestAddress, length: number): number {
    const region = this.#require(address, length);
    return region.hostAddress + (address - region.guestAddress);
  }

  /**
   * A DataView that aliases `length` bytes at `address`: for rings, which are looked up once and used many times.
   * Allocates; not for hot paths.
   */
  dataView(address: GuestAddress, length: number): DataView {
    const found = this.#chunkAt(address, length);
    return new DataView(found.view.buffer, this.#offset, length);
  }

  /**
   * A Uint16Array that aliases `count` little-endian words at `address`, for Atomics on a ring's index and flags.
   * `address` must be even. Allocates; not for hot paths.
   */
  uint16Array(address: GuestAddress, count: number): Uint16Array<ArrayBuffer> {
    const found = this.#chunkAt(address, count * 2);
    return new Uint16Array(found.view.buffer as ArrayBuffer, this.#offset, count);
  }

  /** A Uint8Array that aliases `length` bytes at `address`. Allocates; not for hot paths. */
  bytes(address: GuestAddress, length: number): Uint8Array {
    const found = this.#chunkAt(address, length);
    return found.bytes.subarray(this.#offset, this.#offset + length);
  }

  #regionAt(address: GuestAddress, length: number): RegionDescriptor | undefined {
    for (const region of this.regions) {
      const offset = address - region.guestAddress;
      if (offset >= 0 && length >= 0 && offset + length <= region.size) return region;
    }
    return undefined;
  }

  #require(address: GuestAddress, length: number): RegionDescriptor {
    const region = this.#regionAt(address, length);
    if (region === undefined) throw outOfRange(address, length);
    return region;
  }

  #chunkAt(address: GuestAddress, length: number): Chunk {
    for (const found of this.#chunks) {
      if (address >= found.start && address + length <= found.end) {
        this.#offset = address - found.start;
        return found;
      }
    }
    throw outOfRange(address, length);
  }
}

function chunk(start: GuestAddress, hostAddress: number, buffer: ArrayBuffer): Chunk {
  return {
    start,
    end: start + buffer.byteLength,
    hostAddress,
    view: new DataView(buffer),
    bytes: new Uint8Array(buffer),
  };
}

function outOfRange(address: GuestAddress, length: number): VireoError {
  return new VireoError(
    "range",
    `Cannot access ${length} bytes at guest address 0x${address.toString(16)}: not guest RAM`,
  );
}
