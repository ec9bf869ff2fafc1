/**
 * The frequency of this host's time stamp counter.
 *
 * @module
 */

import { Kvm } from "./kvm.ts";

/** In kHz, as KVM tells it (KVM_GET_TSC_KHZ); undefined where no KVM does. */
export function hostTscKhz(): number | undefined {
  try {
    using kvm = Kvm.open();
    using vm = kvm.createVm();
    using vcpu = vm.createVcpu(0);
    return vcpu.tscKhz() || undefined;
  } catch {
    // Whoever needs KVM itself says what is wrong with it.
    return undefined;
  }
}
