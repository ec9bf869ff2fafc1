/**
 * A port by which a guest ends its machine with a number, for tests: QEMU's isa-debug-exit, but the number is the status.
 *
 * @module
 */

import type { BusDevice } from "../bus/bus_device.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";

/** A debug exit port for the machine's builder. Never there unless asked for. `port`: the first of four, customarily 0xf4. */
export function debugExit(options: { readonly id: string; readonly port: number }): DevicePlan {
  return {
    kind: "debug-exit",
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

/** The port: a write of any width ends the machine with what was written. */
export class DebugExit implements BusDevice {
  readonly #context: FrontContext;

  /**
   * @param _descriptor of kind `debug-exit`
   * @param context of the isolate that it answers in
   */
  constructor(_descriptor: DeviceDescriptor, context: FrontContext) {
    this.#context = context;
  }

  read(_offset: number, _size: number): number {
    return 0;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#context.end("debug-exit", value >>> 0);
  }
}
