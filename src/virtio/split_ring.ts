/**
 * The three parts of a split virtqueue in guest memory (virtio 1.3 §2.7): where the driver says they are, checked once.
 *
 * @module
 */

import {
  VRING_AVAIL_ALIGN_SIZE,
  VRING_DESC_ALIGN_SIZE,
  VRING_DESC_SIZE,
  VRING_USED_ALIGN_SIZE,
  VRING_USED_ELEM_SIZE,
} from "../abi/virtio.ts";
import { GuestError } from "../base/errors.ts";
import type { GuestAddress } from "../memory/guest_address.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { QueueState } from "./queue_state.ts";

/** A ring that nothing can be done with any more: the device asks for a reset (virtio 1.3 §2.1.2). */
export class BrokenRing extends GuestError {}

/** Views of a split virtqueue, which alias guest memory. */
export interface SplitRing {
  /** Entries. */
  readonly size: number;
  /** The descriptor table. */
  readonly table: DataView;
  /** The available ring as words: flags, idx, entries, used_event. */
  readonly avail: Uint16Array<ArrayBuffer>;
  /** The used ring as words: flags, idx, entries of four words each, avail_event. */
  readonly used: Uint16Array<ArrayBuffer>;
  /** The used ring as bytes, for its entries. */
  readonly usedBytes: DataView;
}

/** Looks a queue's parts up. Throws {@linkcode BrokenRing} where its size or an address can't be used. */
export function mapSplitRing(memory: GuestMemory, state: QueueState): SplitRing {
  const { size, maxSize, descriptorArea, driverArea, deviceArea } = state;
  if (size < 1 || size > maxSize || !Number.isInteger(Math.log2(size))) {
    throw new BrokenRing(
      `Cannot use a queue of ${size} entries: not a power of two up to ${maxSize}`,
    );
  }
  const tableSize = size * VRING_DESC_SIZE;
  // Behind the entries follow used_event and avail_event.
  const availSize = 6 + 2 * size;
  const usedSize = 6 + VRING_USED_ELEM_SIZE * size;
  const demand = (name: string, address: GuestAddress, length: number, alignment: number) => {
    // Address 0 is RAM, but no driver puts a ring there: it means that the register was not written.
    const usable = address !== 0 && address % alignment === 0 && memory.contains(address, length);
    if (usable) return;
    throw new BrokenRing(
      `${name} at 0x${address.toString(16)} is not ${length} bytes of RAM aligned to ${alignment}`,
    );
  };
  demand("Descriptor table", descriptorArea, tableSize, VRING_DESC_ALIGN_SIZE);
  demand("Available ring", driverArea, availSize, VRING_AVAIL_ALIGN_SIZE);
  demand("Used ring", deviceArea, usedSize, VRING_USED_ALIGN_SIZE);
  return {
    size,
    table: memory.dataView(descriptorArea, tableSize),
    avail: memory.uint16Array(driverArea, availSize / 2),
    used: memory.uint16Array(deviceArea, usedSize / 2),
    usedBytes: memory.dataView(deviceArea, usedSize),
  };
}
