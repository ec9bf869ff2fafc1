/**
 * What a device needs from whoever builds the machine: a plan is turned into a {@linkcode DeviceDescriptor} by giving it
 * addresses, an interrupt, events and shared state.
 *
 * @module
 */

import type { BusWindow } from "../bus/bus_device.ts";
import type { PlainValue } from "../bus/device_descriptor.ts";
import type { SharedState } from "../memory/shared_state.ts";

/** A guest write that signals an eventfd inside the kernel instead of leaving KVM_RUN. */
export interface Doorbell {
  /** The eventfd's role in the descriptor's `fds`: `notify0`. */
  readonly role: string;
  /** From the start of the device's first window. */
  readonly offset: number;
  /** Bytes of the write. */
  readonly size: 1 | 2 | 4 | 8;
  /** Only a write of this value counts. */
  readonly value: number;
}

/** Registers whose writes KVM may collect: they can wait until the next exit, or a tenth of a second. */
export interface CoalescedRange {
  /** From the start of the device's first window. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** A device before it has its place in a machine. What is absent it does not have. */
export interface DevicePlan {
  /** Which row of the tables of fronts and backs builds it. */
  readonly kind: string;
  /** Unique in the machine. */
  readonly id: string;
  /** URL of the program's module that makes it; absent for Vireo's own devices. */
  readonly module?: string;
  /** Windows at fixed addresses; or the size of one memory window that the machine places. */
  readonly windows: readonly BusWindow[] | { readonly allocate: number };
  /** A fixed interrupt pin, `allocate` for one that the machine picks, or none. */
  readonly gsi?: number | "allocate" | "none";
  /** Takes and fills its block of shared state, and gives the block's offset. */
  createState?(state: SharedState): number;
  /** Roles of the eventfds that are made for it: how the front wakes the back. */
  readonly events?: readonly string[];
  /** Doorbells; their eventfds are made too. */
  readonly doorbells?: readonly Doorbell[];
  /** Where the guest's writes are coalesced, where KVM can. */
  readonly coalesced?: readonly CoalescedRange[];
  /** Borrowed descriptors by role; -1 stands for none. */
  readonly fds?: { readonly [role: string]: number };
  /** Plain values for both halves. */
  readonly options?: { readonly [name: string]: PlainValue };
  /** Whether it has a back, and of which kind: one that may block gets an I/O worker of its own. */
  readonly back?: "none" | "shared" | "blocking";
}
