import { assertEquals, assertThrows } from "@std/assert";
import {
  KVM_EXIT_HLT,
  KVM_EXIT_IO,
  KVM_MP_STATE_INIT_RECEIVED,
  KVM_MP_STATE_RUNNABLE,
  KVM_MP_STATE_UNINITIALIZED,
} from "../../src/abi/kvm.ts";
import { pvhEntry } from "../../src/arch/x86_64/registers.ts";
import { SystemError, VireoError } from "../../src/base/errors.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { Vcpu } from "../../src/kvm/vcpu.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { FakeKvm, type FakeKvmOptions } from "../support/fake_kvm.ts";
import { libcRequirement } from "../support/libc.ts";
import { Assembler } from "../support/tiny_guest.ts";

const needs = libcRequirement();
const real = libcRequirement("kvm");
const HALT = [0xf4];

/** A vCPU of a fake kernel. */
function fakeVcpu(options: FakeKvmOptions = {}): Vcpu {
  return Kvm.open({ driver: new FakeKvm(options) }).createVm().createVcpu(3);
}

Deno.test("Vcpu runs real-mode code that writes 'A' to port 0x3f8 and halts", real, () => {
  const code = [0xb0, 0x41, 0xba, 0xf8, 0x03, 0xee, 0xf4];
  using guest = new BareGuest(code, { realMode: true });
  const exit = guest.run();
  assertEquals(
    [exit.reason, exit.port, exit.portSize, exit.portCount, exit.portWrite, exit.portValue(0)],
    [KVM_EXIT_IO, 0x3f8, 1, 1, true, 0x41],
  );
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  assertEquals(guest.vcpu.registers().rip, 0x1007n);
});

Deno.test("Vcpu general registers come back as they were set", real, () => {
  using guest = new BareGuest(HALT);
  const registers = {
    rax: 1n,
    rbx: 2n ** 64n - 1n,
    rcx: 3n,
    rdx: 2n ** 63n,
    rsi: 5n,
    rdi: 6n,
    rsp: 7n,
    rbp: 8n,
    r8: 9n,
    r9: 10n,
    r10: 11n,
    r11: 12n,
    r12: 13n,
    r13: 14n,
    r14: 15n,
    r15: 16n,
    rip: 0x1000n,
    rflags: 2n,
  };
  guest.vcpu.setRegisters(registers);
  assertEquals(guest.vcpu.registers(), registers);
});

Deno.test("Vcpu special registers come back as they were set", real, () => {
  using guest = new BareGuest(HALT);
  const special = pvhEntry(0x1000, 0).special;
  const cs = { ...special.cs, base: 0x10000n, selector: 0x38 };
  guest.vcpu.setSpecialRegisters({ ...special, cs, gdt: { base: 0x500n, limit: 0x27 } });
  const after = guest.vcpu.specialRegisters();
  assertEquals([after.cs, after.gdt], [cs, { base: 0x500n, limit: 0x27 }]);
  assertEquals([after.cr0, after.efer], [special.cr0, special.efer]);
});

Deno.test("Vcpu.setSpecialRegisters() refuses what no processor takes (row 0.30)", real, () => {
  using guest = new BareGuest(HALT);
  const special = guest.vcpu.specialRegisters();
  // Paging without protection.
  const broken = { ...special, cr0: 0x8000_0000n, cr4: 0xffff_ffffn };
  assertThrows(
    () => guest.vcpu.setSpecialRegisters(broken),
    SystemError,
    "Cannot set special registers of vCPU 0: ioctl(KVM_SET_SREGS): EINVAL",
  );
});

Deno.test("Vcpu.setMsrs() names the register that KVM refuses", () => {
  const vcpu = fakeVcpu({ refusedMsr: 0x277 });
  const msrs = [{ index: 0x10, data: 0n }, { index: 0x277, data: 9n }, { index: 0x11, data: 0n }];
  assertThrows(
    () => vcpu.setMsrs(msrs),
    VireoError,
    "Cannot set MSR 0x277 of vCPU 3: KVM refused the value 0x9",
  );
  assertThrows(() => vcpu.msrs([0x277]), VireoError, "Cannot read MSR 0x277 of vCPU 3");
  vcpu.setMsrs([{ index: 0x10, data: 0n }]);
});

Deno.test("Vcpu.msrs() reads back what setMsrs() has set", real, () => {
  using guest = new BareGuest(HALT);
  const LSTAR = 0xc0000082;
  const MISC_ENABLE = 0x1a0;
  guest.vcpu.setMsrs([{ index: LSTAR, data: 0xffff_8000_0000_1234n }, {
    index: MISC_ENABLE,
    data: 1n,
  }]);
  assertEquals(guest.vcpu.msrs([LSTAR, MISC_ENABLE]), [
    { index: LSTAR, data: 0xffff_8000_0000_1234n },
    { index: MISC_ENABLE, data: 1n },
  ]);
  assertThrows(
    () => guest.vcpu.setMsrs([{ index: 0x12345678, data: 0n }]),
    VireoError,
    "0x12345678",
  );
});

Deno.test("Vcpu.cpuid() is what setCpuid() has set", real, () => {
  using guest = new BareGuest(HALT);
  const entries = guest.kvm.supportedCpuid();
  guest.vcpu.setCpuid(entries);
  const after = guest.vcpu.cpuid();
  assertEquals(after.length, entries.length);
  assertEquals(after[0], entries[0]);
});

Deno.test("Vcpu.physical address width that the guest sees is Kvm's (row 4.4)", real, () => {
  // mov eax, 0x80000008; cpuid; mov [0x8000], al; hlt
  const code = [0xb8, 8, 0, 0, 0x80, 0x0f, 0xa2, 0xa2, 0, 0x80, 0, 0, 0xf4];
  using guest = new BareGuest(code);
  guest.vcpu.setCpuid(guest.kvm.supportedCpuid());
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  assertEquals(guest.memory[0x8000], guest.kvm.physicalAddressBits());
});

Deno.test("Vcpu.mpState(): the first vCPU runs, others wait for INIT", real, () => {
  using guest = new BareGuest(HALT, { irqchip: true });
  using second = guest.vm.createVcpu(1);
  assertEquals(guest.vcpu.mpState(), KVM_MP_STATE_RUNNABLE);
  assertEquals(second.mpState(), KVM_MP_STATE_UNINITIALIZED);
  second.setMpState(KVM_MP_STATE_INIT_RECEIVED);
  assertEquals(second.mpState(), KVM_MP_STATE_INIT_RECEIVED);
  assertThrows(() => second.setMpState(77), SystemError, "EINVAL");
});

Deno.test("Vcpu.setFpu() and tscKhz() and statsFd() work on this host", real, () => {
  using guest = new BareGuest(HALT);
  guest.vcpu.setFpu({ fcw: 0x37f, mxcsr: 0x1f80 });
  assertEquals(guest.vcpu.tscKhz() > 100_000, true);
  const stats = guest.vcpu.statsFd();
  assertEquals(Deno.readLinkSync(`/proc/self/fd/${stats}`).includes("kvm-vcpu-stats"), true);
  guest.vcpu.driver.close(stats);
});

Deno.test("Vcpu.borrow() runs a vCPU that another object owns", real, () => {
  using guest = new BareGuest(new Assembler().eax(7).out(0x80).halt());
  const description = guest.vcpu.describe();
  {
    using borrowed = Vcpu.borrow(description);
    assertEquals(borrowed.run(), 0);
    assertEquals([borrowed.exit.reason, borrowed.exit.portValue(0)], [KVM_EXIT_IO, 7]);
  }
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
});

Deno.test("Vcpu.exit and describe() need mapRun()", needs, () => {
  const vcpu = fakeVcpu();
  assertThrows(() => vcpu.exit, VireoError, "vCPU 3");
  assertThrows(() => vcpu.describe(), VireoError, "vCPU 3");
});

Deno.test("Vcpu: dispose unmaps and closes", needs, () => {
  const driver = new FakeKvm();
  {
    using kvm = Kvm.open({ driver });
    using vm = kvm.createVm();
    using vcpu = vm.createVcpu(0);
    vcpu.mapRun(12288);
    assertEquals([driver.openFds.size, driver.openMappings], [3, 1]);
  }
  assertEquals([driver.openFds.size, driver.openMappings], [0, 0]);
});

Deno.test("Vcpu takes an NMI at its next instruction", real, () => {
  // hlt; cli; hlt
  using guest = new BareGuest([0xf4, 0xfa, 0xf4], { realMode: true });
  // Vector 2 leads to 0:0x2000: mov al, 'N'; mov dx, 0x3f8; out dx, al; iret
  new DataView(guest.memory.buffer).setUint32(2 * 4, 0x2000, true);
  guest.memory.set([0xb0, 0x4e, 0xba, 0xf8, 0x03, 0xee, 0xcf], 0x2000);
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  guest.vcpu.nmi();
  const exit = guest.run();
  assertEquals([exit.reason, exit.port, exit.portValue(0)], [KVM_EXIT_IO, 0x3f8, 0x4e]);
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  assertEquals(guest.vcpu.registers().rip, 0x1003n);
});

Deno.test("Vcpu has the TSC frequency that it was given", real, () => {
  using guest = new BareGuest(HALT);
  const khz = guest.vcpu.tscKhz();
  guest.vcpu.setTscKhz(khz);
  assertEquals(guest.vcpu.tscKhz(), khz);
});

Deno.test("Exit tells whether the guest had interrupts on", real, () => {
  // sti; out 0x80, al; cli; out 0x80, al; hlt
  using guest = new BareGuest([0xfb, 0xe6, 0x80, 0xfa, 0xe6, 0x80, 0xf4], { realMode: true });
  assertEquals(guest.run().interruptsEnabled, true);
  assertEquals(guest.run().interruptsEnabled, false);
});
