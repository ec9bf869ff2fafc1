/**
 * The classes of virtio devices: one row each.
 *
 * @module
 */

import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { VireoError } from "../base/errors.ts";
import type { Back, BackContext, BackFactory } from "../devices/back.ts";
import type { DeviceModules } from "../devices/device_modules.ts";
import { Blk } from "./blk.ts";
import { Console } from "./console.ts";
import { ConsolePorts } from "./console_ports.ts";
import { Rng } from "./rng.ts";
import { VirtioBack } from "./virtio_back.ts";
import type { VirtioDevice, VirtioDeviceFactory } from "./virtio_device.ts";

/** What makes a device of each class; the names are what `options.device` of a descriptor says. */
export const VIRTIO_DEVICES: Readonly<Record<string, VirtioDeviceFactory>> = {
  blk: (context) => new Blk(context),
  console: (context) => new Console(context),
  "console-ports": (context) => new ConsolePorts(context),
  rng: (context) => new Rng(context),
};

/**
 * The backs of virtio devices by kind, which names the transport: the back is the same for all of them.
 *
 * @param modules make the devices that are a program's own
 */
export function virtioBacks(modules: DeviceModules): Readonly<Record<string, BackFactory>> {
  return {
    "virtio-mmio": (descriptor, context) => makeBack(descriptor, context, modules),
  };
}

function makeBack(
  descriptor: DeviceDescriptor,
  context: BackContext,
  modules: DeviceModules,
): Back {
  if (descriptor.module !== undefined) {
    const make: VirtioDeviceFactory = (own) =>
      modules.make<VirtioDevice>(descriptor, "virtio", own);
    return new VirtioBack(descriptor, context, make);
  }
  const factory = VIRTIO_DEVICES[String(descriptor.options["device"])];
  if (factory !== undefined) return new VirtioBack(descriptor, context, factory);
  const known = Object.keys(VIRTIO_DEVICES).join(", ");
  throw new VireoError(
    "internal",
    `Cannot run ${descriptor.id}: "${
      descriptor.options["device"]
    }" is no class of virtio device; there are ${known}`,
  );
}
