/** What arch makes, on a real kernel: KVM takes it and gives it back. */

import { assertEquals } from "@std/assert";
import { bootCpuid } from "../../../src/arch/x86_64/cpuid.ts";
import { checkGuestState } from "../../../src/arch/x86_64/guest_state.ts";
import { wireLapic } from "../../../src/arch/x86_64/lapic.ts";
import { BOOT_MSRS } from "../../../src/arch/x86_64/msrs.ts";
import {
  type EntryState,
  linux64Entry,
  pvhEntry,
  realModeEntry,
} from "../../../src/arch/x86_64/registers.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import type { Vcpu } from "../../../src/kvm/vcpu.ts";
import { hasFeature } from "../../support/cpuid.ts";
import { libcRequirement } from "../../support/libc.ts";

const real = libcRequirement("kvm");
/** Bases and limits change with the CPU's mode on some hosts; what decides the mode must not. */
const PATHS: Readonly<Record<string, EntryState>> = {
  "real mode": realModeEntry(0x1000, 0),
  "Linux 64-bit": linux64Entry(0x100200, 0x7000),
  "PVH": pvhEntry(0x1000000, 0x6000),
};

/** Gives `use` the boot vCPU of a machine of two, set up as the machine's platform does. */
function withVcpu(use: (vcpu: Vcpu, kvm: Kvm) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  using vcpu = vm.createVcpu(0);
  const options = { index: 0, cpus: 2, tscKhz: vcpu.tscKhz() };
  vcpu.setCpuid(bootCpuid(kvm.supportedCpuid(), options));
  use(vcpu, kvm);
}

Deno.test("bootCpuid() is what KVM then gives the guest (row 4.4)", real, () => {
  withVcpu((vcpu, kvm) => {
    const made = bootCpuid(kvm.supportedCpuid(), { index: 0, cpus: 2, tscKhz: vcpu.tscKhz() });
    const seen = vcpu.cpuid();
    for (const id of [0xb, 0x40000000, 0x40000010, 0x80000008, 0x8000001e]) {
      const of = (entries: typeof made) => entries.filter((entry) => entry.function === id);
      assertEquals(of(seen), of(made), `leaf 0x${id.toString(16)}`);
    }
    assertEquals(hasFeature(seen, "hypervisor"), true);
    assertEquals(hasFeature(seen, "tsc_deadline_timer"), true);
    assertEquals(
      (seen.find((entry) => entry.function === 0x80000008)?.eax ?? 0) % 256,
      kvm.physicalAddressBits(),
    );
  });
});

Deno.test("BOOT_MSRS are what KVM then has, the clock apart", real, () => {
  withVcpu((vcpu) => {
    vcpu.setMsrs(BOOT_MSRS);
    const still = BOOT_MSRS.filter(({ index }) => index !== 0x10);
    assertEquals(vcpu.msrs(still.map(({ index }) => index)), still);
  });
});

Deno.test("wireLapic() points LINT0 at the 8259 and LINT1 at NMI", real, () => {
  withVcpu((vcpu) => {
    const page = vcpu.lapic();
    wireLapic(page);
    vcpu.setLapic(page);
    const view = new DataView(vcpu.lapic().buffer);
    assertEquals([view.getUint32(0x350, true), view.getUint32(0x360, true)], [0x700, 0x400]);
  });
});

for (const [path, { registers, special, fpu }] of Object.entries(PATHS)) {
  Deno.test(`KVM takes the ${path} entry state and gives it back`, real, () => {
    withVcpu((vcpu) => {
      vcpu.setSpecialRegisters(special);
      vcpu.setRegisters(registers);
      vcpu.setFpu(fpu);
      const state = { registers: vcpu.registers(), special: vcpu.specialRegisters() };
      assertEquals(state.registers, registers);
      const { cr0, cr3, cr4, efer, apic_base, cs, gdt, idt } = state.special;
      assertEquals(
        { cr0, cr3, cr4, efer, apic_base, cs, gdt, idt },
        {
          cr0: special.cr0,
          cr3: special.cr3,
          cr4: special.cr4,
          efer: special.efer,
          apic_base: special.apic_base,
          cs: special.cs,
          gdt: special.gdt,
          idt: special.idt,
        },
      );
      assertEquals(checkGuestState(state), []);
    });
  });
}
