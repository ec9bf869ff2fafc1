/**
 * A device as plain data: what any isolate needs to rebuild its half of the device.
 *
 * @module
 */

import type { BusWindow } from "./bus_device.ts";

/** Plain values that survive JSON. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue };

/** A device as plain data. Descriptors of opened files and events are process-wide, so their numbers are enough. */
export interface DeviceDescriptor {
  /** Which row of the tables of fronts and backs builds it. */
  readonly kind: string;
  /** Unique in the machine: `serial0`, `disk0`. */
  readonly id: string;
  /** Counts the devices that the machine has had: tells one from its like that was there before. */
  readonly incarnation: number;
  /** Addresses at which its front answers. */
  readonly windows: readonly BusWindow[];
  /** Its interrupt pin, or -1. */
  readonly gsi: number;
  /** The irqfd of that pin, or -1. */
  readonly irqFd: number;
  /** Offset of its block of shared state, or -1. */
  readonly state: number;
  /** Which I/O worker runs its back; -1 for a device without one. */
  readonly worker: number;
  /** Opened descriptors by role: `input`, `output`, `image`, `notify0`. */
  readonly fds: { readonly [role: string]: number };
  /** URL of the program's module that makes it; absent for Vireo's own devices. */
  readonly module?: string;
  /** What else its kind needs. */
  readonly options: { readonly [name: string]: PlainValue };
}
