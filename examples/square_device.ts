/** A device with registers, for `device.ts`: the guest writes a number and reads its square. */

import type { FrontFactory } from "../src/mod.ts";

/** Each vCPU has a front of its own, in its worker; what they share lies in the block of state that the device has asked for. */
export const front: FrontFactory = ({ state }, { state: { words } }) => ({
  read: () => Atomics.load(words, state / 4),
  write: (_offset, _size, value) => void Atomics.store(words, state / 4, value * value),
});
