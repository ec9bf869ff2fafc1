/**
 * What a device's front is built from. The front is the half that answers register accesses, in the isolate of whichever
 * vCPU made them.
 *
 * @module
 */

import type { BusDevice } from "../bus/bus_device.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import type { SharedState } from "../memory/shared_state.ts";

/**
 * Why a machine ends, as a device sees it: `power-off` (ACPI sleep state S5), `reset` (i8042, ACPI reset register),
 * `panic` (pvpanic), `debug-exit` (the debug port; `detail` is the value written).
 */
export type EndRequest = "power-off" | "reset" | "panic" | "debug-exit";

/** The same, or `yield`: the machine's owner is given the turn, and may let the guest go on. */
export type FrontRequest = EndRequest | "yield";

/** What the isolate that holds the fronts does for them. */
export interface FrontContext {
  /** The machine's shared state. */
  readonly state: SharedState;
  /** The interrupt line of a device; one that does nothing where it has none. */
  irqLine(descriptor: DeviceDescriptor): IrqLine;
  /** Wakes the back of a device, which runs in its I/O worker: signals the eventfd called `role`. Never blocks. */
  signal(descriptor: DeviceDescriptor, role: string): void;
  /** Ends the machine, where the first request counts; or, with `yield`, stops its vCPUs behind this very access. */
  end(request: FrontRequest, detail?: number): void;
  /**
   * Waits until the word at `index` of the shared state's words is no longer `value`, at most `timeout` ms; a stop of the
   * vCPU ends the wait too. For the one rendezvous there is, a virtio reset.
   *
   * @returns false where the time was up
   */
  park(index: number, value: number, timeout: number): boolean;
  /** Notes a moment of the machine's start, one of `MARK` in boot_marks.ts or a byte of the guest's; nothing without a timer. */
  mark(code: number): void;
  /** Reports what a guest did wrong; rate-limited, never blocks. */
  warn(descriptor: DeviceDescriptor, message: string): void;
}

/** Builds the front of one kind of device. */
export type FrontFactory = (descriptor: DeviceDescriptor, context: FrontContext) => BusDevice;
