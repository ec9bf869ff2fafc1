/**
 * What the author of a virtio device writes, and what that device is given. No transport shows here, and neither rings nor
 * reset: the back does that ({@linkcode VirtioBack}).
 *
 * @module
 */

import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { EventLoop } from "../host/event_loop.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Virtqueue } from "./virtqueue.ts";

/**
 * A class of device. All calls come from one event loop, one at a time, in this order: activate, then `processQueue` and
 * whatever the device's own descriptors bring, then reset, which leads back to before activate. A drain in between is
 * followed by resume or reset.
 */
export interface VirtioDevice {
  /**
   * The driver has added requests to a queue, or may have. Takes what it can with `queue.pop(chain)` and gives back what is
   * done with `queue.pushUsed(head, length)`; publishing, interrupts and notifications are the back's. Requests that end
   * later are pushed later, followed by `context.complete(index)`.
   */
  processQueue(index: number, queue: Virtqueue): void;
  /** The driver is ready: `context.queue(index)` gives the queues. */
  activate?(): void;
  /**
   * Finishes I/O in flight, pushes it, and starts no more; stops listening to descriptors that it won't read meanwhile. When it
   * returns nothing of the device touches guest memory.
   */
  drain?(): void;
  /** Goes on after a drain; all queues are processed next. */
  resume?(): void;
  /** The driver is gone: forgets what it has said. Always after a drain. */
  reset?(): void;
  /** Whether output of the guest waits for the host to take it, after all that the driver has queued was looked at. */
  pending?(): boolean;
  /** The driver has written to the configuration space. */
  configWritten?(): void;
  /** What lives outside shared state, in the layout of `version`; a device without any has none. */
  save?(version: number): Uint8Array;
  /** Takes back what `save` gave. */
  restore?(version: number, bytes: Uint8Array): void;
  /** Lets go of everything it made. Descriptors that it was given stay open. */
  close?(): void;
}

/** What the driver has said to a device beside its requests. */
export interface VirtioRegisters {
  /** Whether the driver has taken a feature, by its bit number. */
  hasFeature(bit: number): boolean;
  /** Reads configuration bytes, from `offset` on. */
  readConfig(offset: number, into: DataView): void;
  /** Changes configuration bytes without a word to the driver, as what it has just written itself. */
  changeConfig(offset: number, bytes: Uint8Array): void;
}

/** What a device is given. */
export interface VirtioContext {
  /** Its descriptor: opened descriptors and options. */
  readonly descriptor: DeviceDescriptor;
  /** For descriptors and timers of its own. */
  readonly loop: EventLoop;
  /** Guest RAM. */
  readonly memory: GuestMemory;
  /** Features taken, configuration bytes. */
  readonly state: VirtioRegisters;
  /** A queue that the driver has set up; undefined before activate, after reset, and for one that the driver left alone. */
  queue(index: number): Virtqueue | undefined;
  /** Processes a queue as if the driver had notified: the host has data, or room. Does nothing while drained. */
  process(index: number): void;
  /** Shows the driver what was pushed outside `processQueue`, and interrupts it where it wants that. */
  complete(index: number): void;
  /** Changes configuration bytes and tells the driver. */
  changeConfig(offset: number, bytes: Uint8Array): void;
  /** Reports what went wrong on the host's side; rate-limited. */
  warn(message: string): void;
  /** Tells the isolate that owns the machine something. */
  post(message: Readonly<Record<string, string | number>>): void;
}

/** Makes a device of one kind, in its I/O worker. */
export type VirtioDeviceFactory = (context: VirtioContext) => VirtioDevice;
