/**
 * Descriptors of devices that no builder has placed.
 *
 * @module
 */

import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";

/** A device's descriptor: without windows, interrupt, state, worker, descriptors and options, but for those given. */
export function descriptorOf(
  given: Pick<DeviceDescriptor, "kind" | "id"> & Partial<DeviceDescriptor>,
): DeviceDescriptor {
  return {
    windows: [],
    gsi: -1,
    incarnation: 1,
    irqFd: -1,
    state: -1,
    worker: -1,
    fds: {},
    options: {},
    ...given,
  };
}
