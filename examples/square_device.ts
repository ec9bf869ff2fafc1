/** A device with registers, for `device.ts`: the guest writes a number and reads its square. */

import type { BusDevice, DeviceDescriptor, FrontContext } from "../src/mod.ts";

/** Each vCPU has a front of its own, in its worker; what they share lies in the block of state that the device has asked for. */
export function front({ state }: DeviceDescriptor, { state: { words } }: FrontContext): BusDevice {
  return {
    read: () => Atomics.load(words, state / 4),
    write: (_offset, _size, value) => void Atomics.store(words, state / 4, value * value),
  };
}
