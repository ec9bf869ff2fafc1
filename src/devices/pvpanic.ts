/**
 * pvpanic: one register in which a guest says that it has panicked (QEMU's docs/specs/pvpanic).
 *
 * @module
 */

import { PVPANIC_CRASH_LOADED, PVPANIC_PANICKED } from "../abi/devices.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { ByteDevice } from "./byte_device.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";

/** A pvpanic device for the machine's builder. `port`: 0x505 where a driver looks without ACPI. */
export function pvpanic(options: { readonly id: string; readonly port: number }): DevicePlan {
  return {
    kind: "pvpanic",
    id: options.id,
    windows: [{ bus: "port", base: options.port, size: 1 }],
  };
}

/** The register: which events we know of, when read; what happened, when written. */
export class Pvpanic extends ByteDevice {
  readonly #descriptor: DeviceDescriptor;
  readonly #context: FrontContext;

  /**
   * @param descriptor of kind `pvpanic`
   * @param context of the isolate that it answers in
   */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    super();
    this.#descriptor = descriptor;
    this.#context = context;
  }

  override readByte(_offset: number): number {
    return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
  }

  override writeByte(_offset: number, value: number): void {
    if ((value & PVPANIC_PANICKED) !== 0) this.#context.end("panic", value);
    else if ((value & PVPANIC_CRASH_LOADED) !== 0) {
      // The guest goes on by itself: its crash kernel writes the dump and resets.
      this.#context.warn(this.#descriptor, "The guest panicked, and its crash kernel takes over");
    }
  }
}
