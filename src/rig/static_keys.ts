/**
 * Keeps L1's kernel from rewriting its own code while it runs.
 *
 * KVM turns branches in the scheduler and in its own hot paths on with the first VM or vCPU of a kind, and off with the last
 * (Linux's static keys). Linux does that by putting an `int3` there for a moment while the other processors go on. QEMU's
 * threads can translate just that moment, and keep the translation: then both processors take the `int3` for ever. Making
 * and closing VMs beside busy threads hung L1 within 50 VMs each time; with these held, 1000 went by.
 *
 * @module
 */

import { Kvm } from "../kvm/kvm.ts";

/** Makes what keeps the keys on, never to be run: a vCPU with an interrupt controller in the kernel, and one without. */
export function holdStaticKeys(): Disposable {
  using held = new DisposableStack();
  const kvm = held.use(Kvm.open());
  for (const irqchip of [true, false]) {
    const vm = held.use(kvm.createVm());
    if (irqchip) vm.createIrqchip();
    held.use(vm.createVcpu(0));
  }
  return held.move();
}
