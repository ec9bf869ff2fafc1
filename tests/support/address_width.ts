/**
 * How wide guest physical addresses are here, beside what the most RAM of a description takes.
 *
 * @module
 */

import { Kvm } from "../../src/kvm/kvm.ts";

/** Bits that 1 TiB of RAM and the hole below 4 GiB take. */
export const WIDTH_OF_1_TIB = 41;

/** How many bits of address this host gives a guest; 0 without a KVM. */
export function hostAddressBits(): number {
  try {
    using kvm = Kvm.open();
    return kvm.physicalAddressBits();
  } catch {
    return 0;
  }
}
