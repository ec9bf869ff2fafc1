/**
 * The bus: from an address to the device that answers there. Ports and memory are two buses of the same kind.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { BusDevice } from "./bus_device.ts";

interface Entry {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
  readonly device: BusDevice;
  readonly id: string;
}

/** One address space of devices, as one isolate sees it. Reads of unclaimed addresses give all ones, writes vanish. */
export class Bus {
  /** Sorted by start; replaced, never changed, so that a dispatch under way goes on with what it saw. */
  #entries: readonly Entry[] = [];
  /** The entry that answered last: guests poll. */
  #last: Entry | undefined = undefined;

  /**
   * Adds a device.
   *
   * @param window addresses that are the device's; `offset` is what the device calls the first of them
   * @param id the device's name, for errors
   */
  insert(
    window: { readonly base: number; readonly size: number; readonly offset?: number },
    device: BusDevice,
    id: string,
  ): void {
    const start = window.base;
    const end = start + window.size;
    if (!(window.size > 0)) throw new VireoError("range", `Cannot map ${id}: its window is empty`);
    for (const other of this.#entries) {
      if (start < other.end && other.start < end) {
        throw new VireoError(
          "range",
          `Cannot map ${id} at ${range(start, end)}: ${other.id} is at ${
            range(other.start, other.end)
          }; give one of them another address`,
        );
      }
    }
    const entry = { start, end, offset: window.offset ?? 0, device, id };
    this.#entries = [...this.#entries, entry].sort((a, b) => a.start - b.start);
  }

  /** Removes every window of the device called `id`. */
  remove(id: string): void {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
    this.#last = undefined;
  }

  /** The name of the device at `address`, for messages. */
  owner(address: number): string | undefined {
    return this.#find(address, 1)?.id;
  }

  /** Reads `size` bytes (1, 2 or 4) at `address`. */
  read(address: number, size: number): number {
    const entry = this.#find(address, size);
    if (entry === undefined) return ONES[size] ?? 0;
    return entry.device.read(address - entry.start + entry.offset, size);
  }

  /** Writes `size` bytes (1, 2 or 4) at `address`. */
  write(address: number, size: number, value: number): void {
    const entry = this.#find(address, size);
    if (entry !== undefined) {
      entry.device.write(address - entry.start + entry.offset, size, value);
    }
  }

  /** Reads 8 bytes at `address`. */
  readWide(address: number): bigint {
    const entry = this.#find(address, 8);
    if (entry?.device.readWide === undefined) return 0xffff_ffff_ffff_ffffn;
    return entry.device.readWide(address - entry.start + entry.offset);
  }

  /** Writes 8 bytes at `address`. */
  writeWide(address: number, value: bigint): void {
    const entry = this.#find(address, 8);
    entry?.device.writeWide?.(address - entry.start + entry.offset, value);
  }

  /** The entry that holds all `size` bytes at `address`; an access across a window's end is nobody's. */
  #find(address: number, size: number): Entry | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.start && address + size <= last.end) return last;
    let low = 0;
    let high = this.#entries.length - 1;
    while (low <= high) {
      const middle = Math.trunc((low + high) / 2);
      const entry = this.#entries[middle];
      if (entry === undefined) break;
      if (address < entry.start) high = middle - 1;
      else if (address >= entry.end) low = middle + 1;
      else {
        if (address + size > entry.end) break;
        this.#last = entry;
        return entry;
      }
    }
    return undefined;
  }
}

/** What an absent device answers, by size. */
const ONES: readonly number[] = [0, 0xff, 0xffff, 0, -1];

function range(start: number, end: number): string {
  return `0x${start.toString(16)}-0x${(end - 1).toString(16)}`;
}
