/**
 * A port by which a guest says how far its boot has got: each byte written is a mark of the boot timer. It has the place and the
 * reads of Bochs' debug port, so one initramfs can be timed in several monitors.
 *
 * @module
 */

import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { ByteDevice } from "./byte_device.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";

/** A marker port for the machine's builder. Never there unless asked for. */
export function markerPort(options: { readonly id: string; readonly port: number }): DevicePlan {
  return {
    kind: "marker-port",
    id: options.id,
    windows: [{ bus: "port", base: options.port, size: 1 }],
    options: { port: options.port },
  };
}

/** The port. Reading it gives its own number, by which a guest sees that it is there. */
export class MarkerPort extends ByteDevice {
  readonly #port: number;
  readonly #context: FrontContext;

  /**
   * @param descriptor of kind `marker-port`
   * @param context of the isolate that it answers in
   */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    super();
    this.#port = Number(descriptor.options["port"]);
    this.#context = context;
  }

  override readByte(_offset: number): number {
    return this.#port;
  }

  override writeByte(_offset: number, value: number): void {
    this.#context.mark(value);
  }
}
