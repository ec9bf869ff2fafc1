/**
 * The x86-64 platform: what every VM, its memory and each vCPU is given before a loader sees them.
 *
 * @module
 */

import { bootCpuid, NESTED } from "../arch/x86_64/cpuid.ts";
import { wireLapic } from "../arch/x86_64/lapic.ts";
import {
  IDENTITY_MAP_ADDRESS,
  type RamRegion,
  splitRam,
  TSS_ADDRESS,
} from "../arch/x86_64/layout.ts";
import { BOOT_MSRS } from "../arch/x86_64/msrs.ts";
import { KVM_PIT_SPEAKER_DUMMY } from "../abi/kvm.ts";
import type { CpuidEntry } from "../abi/x86.ts";
import type { Topology } from "../arch/x86_64/topology.ts";
import type { CpuFeatureName } from "../config/cpu_features.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";

/** What each vCPU is made from. */
export interface CpuFacts {
  /** vCPUs that there may be in the machine. */
  readonly cpus: number;
  /** How they are grouped. */
  readonly topology: Topology;
  /** Features that they do not show. */
  readonly without: readonly CpuFeatureName[];
  /** Whether there are interrupt controllers, and so local APICs. */
  readonly interrupts: boolean;
  /** What KVM supports on this host. */
  readonly supported: readonly CpuidEntry[];
}

/** The hooks of building a machine that depend on its architecture; replaceable for tests and experiments. */
export interface Platform {
  /** After the VM has its memory and before any vCPU: interrupt controllers where the machine has them, timer. */
  setupVm(vm: Vm, interrupts: boolean): void;
  /** Splits RAM into regions, one memory slot each. */
  setupMemory(size: number, physicalBits: number, base: number): readonly RamRegion[];
  /** After a vCPU is created and mapped: CPUID, MSRs, local APIC. */
  setupVcpu(vcpu: Vcpu, index: number, facts: CpuFacts): void;
}

/** The platform of DESIGN: in-kernel interrupt controllers and PIT, CPUID made for the machine. */
export const x86Platform: Platform = {
  setupVm(vm, interrupts) {
    vm.setTssAddress(TSS_ADDRESS);
    vm.setIdentityMapAddress(IDENTITY_MAP_ADDRESS);
    if (!interrupts) return;
    vm.createIrqchip();
    vm.createPit(KVM_PIT_SPEAKER_DUMMY);
  },

  setupMemory: splitRam,

  setupVcpu(vcpu, index, { cpus, supported, topology, without, interrupts }) {
    const tscKhz = vcpu.tscKhz();
    const hidden = [...NESTED, ...without];
    vcpu.setCpuid(bootCpuid(supported, { index, cpus, topology, tscKhz, without: hidden }));
    vcpu.setMsrs(BOOT_MSRS);
    if (!interrupts) return;
    const lapic = vcpu.lapic();
    wireLapic(lapic);
    vcpu.setLapic(lapic);
  },
};
