/**
 * What a device's back is: the half that does host I/O, in an I/O worker.
 *
 * @module
 */

import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import type { EventLoop } from "../host/event_loop.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { SharedState } from "../memory/shared_state.ts";

/**
 * The back of a device. All calls come from its I/O worker's event loop, one at a time. The order is activate, then any
 * number of drain and resume in pairs, reset (which leads back to the state before activate), and close at last.
 */
export interface Back {
  /** Takes up its work: registers its descriptors with the event loop. */
  activate(): void;
  /** Finishes I/O in flight and starts no more. When it returns nothing of the device touches guest memory. */
  drain(): void;
  /** Goes on after {@linkcode Back.drain}. */
  resume(): void;
  /** Forgets what the guest has told it, as after power-on. Drains first. */
  reset(): void;
  /**
   * Whether output of the guest waits for the host to take it. Absent where a device never has any. After a guest's end its
   * worker goes on until there is none, or its owner has had enough.
   */
  pending?(): boolean;
  /** What lives outside shared state, in the layout of `version`. */
  save(version: number): Uint8Array;
  /** Takes back what {@linkcode Back.save} gave, of the same or an older version. */
  restore(version: number, bytes: Uint8Array): void;
  /** Drains and lets go of everything it made. Descriptors that it was given stay open: they belong to the builder. */
  close(): void;
}

/** What an I/O worker does for the backs in it. */
export interface BackContext {
  /** The worker's event loop. */
  readonly loop: EventLoop;
  /** The machine's shared state. */
  readonly state: SharedState;
  /** Guest RAM. */
  readonly memory: GuestMemory;
  /** The interrupt line of a device; one that does nothing where it has none. */
  irqLine(descriptor: DeviceDescriptor): IrqLine;
  /** Reports what went wrong on the host's side or what a guest did wrong; rate-limited. */
  warn(descriptor: DeviceDescriptor, message: string): void;
  /** Tells the isolate that owns the machine something a device's kind defines: a line on a control port, a key. */
  post(descriptor: DeviceDescriptor, message: Readonly<Record<string, string | number>>): void;
}

/** Builds the back of one kind of device. */
export type BackFactory = (descriptor: DeviceDescriptor, context: BackContext) => Back;
