/**
 * A port by which a guest gives the turn to the program that runs its machine, with a number: a call out of the guest.
 *
 * @module
 */

import type { BusDevice } from "../bus/bus_device.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";

/** A yield port for the machine's builder. Never there unless asked for. `port`: the first of four. */
export function debugYield(options: { readonly id: string; readonly port: number }): DevicePlan {
  return {
    kind: "debug-yield",
    id: options.id,
    windows: [{ bus: "port", base: options.port, size: 4 }],
    gsi: "none",
    events: [],
    doorbells: [],
    fds: {},
    options: {},
    back: "none",
  };
}

/** The port: a write of any width stops the vCPUs until the machine is run again. */
export class DebugYield implements BusDevice {
  readonly #context: FrontContext;

  /**
   * @param _descriptor of kind `debug-yield`
   * @param context of the isolate that it answers in
   */
  constructor(_descriptor: DeviceDescriptor, context: FrontContext) {
    this.#context = context;
  }

  read(_offset: number, _size: number): number {
    return 0;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#context.end("yield", value >>> 0);
  }
}
