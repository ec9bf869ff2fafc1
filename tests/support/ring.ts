/**
 * Both sides of one split ring over guest memory on plain buffers, without transport and device.
 *
 * @module
 */

import type { GuestMemory } from "../../src/memory/guest_memory.ts";
import { TWO_32 } from "../../src/memory/guest_address.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { DescriptorChain } from "../../src/virtio/descriptor_chain.ts";
import type { QueueState } from "../../src/virtio/queue_state.ts";
import { VirtioState } from "../../src/virtio/virtio_state.ts";
import { Virtqueue } from "../../src/virtio/virtqueue.ts";
import { DriverQueue, GuestArena, TEST_REGION_SIZE, TEST_REGIONS, testMemory } from "./driver.ts";

/** How a ring is made. */
export interface RingOptions {
  /** Entries; 8 where absent. */
  readonly size?: number;
  /** The most entries that the device takes; 256 where absent. */
  readonly maxSize?: number;
  readonly indirect?: boolean;
  readonly eventIdx?: boolean;
  /** Both indices start here. */
  readonly startAt?: number;
  readonly memory?: GuestMemory;
}

/** The two sides of a ring. */
export interface Ring {
  readonly memory: GuestMemory;
  readonly arena: GuestArena;
  readonly driver: DriverQueue;
  readonly state: QueueState;
  readonly queue: Virtqueue;
  readonly chain: DescriptorChain;
}

/** A queue's registers in fresh shared state, not yet written by a driver. */
export function queueState(maxSize = 256): QueueState {
  const spec = { deviceId: 1, features: [], queueSizes: [maxSize] };
  const [state] = VirtioState.create(SharedState.create(4096), spec, "ring").queues;
  if (state === undefined) throw new Error("No queue");
  return state;
}

/** Writes a queue's registers as a driver would. */
export function setRegisters(state: QueueState, driver: DriverQueue, size = driver.size): void {
  state.set("size", size);
  const areas = {
    desc: driver.descAddress,
    driver: driver.availAddress,
    device: driver.usedAddress,
  };
  for (const [area, address] of Object.entries(areas)) {
    state.set(`${area as keyof typeof areas}Low`, address % TWO_32);
    state.set(`${area as keyof typeof areas}High`, Math.trunc(address / TWO_32));
  }
  state.ready = true;
}

/** A ring, ready for its first request, in a round of processing. */
export function openRing(options: RingOptions = {}): Ring {
  const memory = options.memory ?? testMemory();
  const arena = new GuestArena(TEST_REGIONS[2] + 0x1000, TEST_REGION_SIZE - 0x2000);
  const driver = new DriverQueue(memory, arena, options.size ?? 8);
  const state = queueState(options.maxSize ?? 256);
  setRegisters(state, driver);
  if (options.startAt !== undefined) {
    driver.startAt(options.startAt);
    state.nextAvail = options.startAt;
    state.nextUsed = options.startAt;
  }
  const queue = new Virtqueue(memory, state, {
    indirect: options.indirect ?? true,
    eventIdx: options.eventIdx ?? false,
  });
  queue.beginRound();
  return { memory, arena, driver, state, queue, chain: new DescriptorChain(memory, driver.size) };
}
