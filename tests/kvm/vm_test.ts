import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  KVM_EXIT_HLT,
  KVM_EXIT_MMIO,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KvmIoctl,
  KvmIrqfd,
  KvmUserspaceMemoryRegion,
} from "../../src/abi/kvm.ts";
import { EINVAL, ENOENT } from "../../src/abi/linux.ts";
import { SystemError, VireoError } from "../../src/base/errors.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import type { Vm } from "../../src/kvm/vm.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { FakeKvm, type FakeKvmOptions } from "../support/fake_kvm.ts";
import { libcRequirement } from "../support/libc.ts";
import { Assembler } from "../support/tiny_guest.ts";

const needs = libcRequirement();
const real = libcRequirement("kvm");
const PAGE = 4096;

/** A VM of a fake kernel, and the kernel. */
function fakeVm(options: FakeKvmOptions = {}): { vm: Vm; kernel: FakeKvm } {
  const kernel = new FakeKvm(options);
  return { vm: Kvm.open({ driver: kernel }).createVm(), kernel };
}

/** `[slot, flags, size]` of each KVM_SET_USER_MEMORY_REGION. */
function slotCalls(kernel: FakeKvm): number[][] {
  return kernel.argumentsOf("KVM_SET_USER_MEMORY_REGION").map((bytes) => {
    const view = new DataView((bytes as Uint8Array<ArrayBuffer>).buffer);
    return [
      view.getUint32(KvmUserspaceMemoryRegion.slot, true),
      view.getUint32(KvmUserspaceMemoryRegion.flags, true),
      Number(view.getBigUint64(KvmUserspaceMemoryRegion.memory_size, true)),
    ];
  });
}

Deno.test("Vm.check() asks the VM; an unknown name is an error (row 4.2)", real, () => {
  using guest = new BareGuest([0xf4]);
  assertEquals(guest.vm.check("DirtyLog"), 1);
  assertEquals(guest.vm.check("IRQFD"), 1);
  assertThrows(() => guest.vm.check("DirtyLogs"), VireoError, "no such name");
});

Deno.test("Vm says unsupported for what this VM's KVM lacks (row 4.24)", () => {
  const capabilities = { USER_MEMORY: 0, READONLY_MEM: 0, ADJUST_CLOCK: 0 };
  const { vm, kernel } = fakeVm({ capabilities });
  const region = { slot: 0, guestAddress: 0, size: PAGE, hostAddress: 0x10000 };
  const lacking = [
    () => vm.setMemoryRegion({ ...region, logDirty: true }),
    () => vm.setMemoryRegion({ ...region, readonly: true }),
    () => vm.clock(),
    () => vm.setClock(1n),
  ].map((use) => assertThrows(use, VireoError));
  assertEquals(lacking.map(({ kind }) => kind), Array(4).fill("unsupported"));
  const names = lacking.map(({ message }) => /only on VMs that support (\w+);/.exec(message)?.[1]);
  assertEquals(names, ["DirtyLog", "READONLY_MEM", "PvClock", "PvClock"]);
  assertEquals(slotCalls(kernel), []);
});

Deno.test("Vm.clock() goes on from where it was set (row 4.24)", real, () => {
  using guest = new BareGuest([0xf4]);
  const hour = 3_600_000_000_000n;
  assert(guest.vm.clock() < hour);
  guest.vm.setClock(hour);
  const clock = guest.vm.clock();
  assert(clock >= hour && clock < 2n * hour, `${clock}`);
});

Deno.test("Vm.enable() says whether the capability is on (row 4.3)", () => {
  const { vm } = fakeVm({ capabilities: { X86_DISABLE_EXITS: 0 } });
  assertEquals(vm.enable("X86_DISABLE_EXITS", [2]), false);
  assertEquals(vm.enable("SPLIT_IRQCHIP", [24]), true);
});

Deno.test("Vm.enable() of exits that stay in the guest works (row 4.3)", real, () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  assertEquals(vm.enable("SPLIT_IRQCHIP", [24]), vm.check("SPLIT_IRQCHIP") > 0);
  assertThrows(() => vm.createIrqchip(), SystemError, "EEXIST");
});

Deno.test("Vm.setMemoryRegion() gives each region its slot and flags (row 3.13)", () => {
  const { vm, kernel } = fakeVm();
  const region = { guestAddress: 0, size: PAGE, hostAddress: PAGE };
  vm.setMemoryRegion({ slot: 0, ...region });
  vm.setMemoryRegion({ slot: 1, ...region, readonly: true });
  vm.setMemoryRegion({ slot: 7, ...region, logDirty: true });
  vm.removeMemoryRegion(1);
  assertEquals(slotCalls(kernel), [
    [0, 0, PAGE],
    [1, KVM_MEM_READONLY, PAGE],
    [7, KVM_MEM_LOG_DIRTY_PAGES, PAGE],
    [1, KVM_MEM_READONLY, 0],
  ]);
});

Deno.test("Vm.setMemoryRegion() says how many slots there are (row 3.16)", () => {
  const { vm } = fakeVm({ capabilities: { NR_MEMSLOTS: 1 } });
  vm.setMemoryRegion({ slot: 0, guestAddress: 0, size: PAGE, hostAddress: PAGE });
  const second = { slot: 1, guestAddress: PAGE, size: PAGE, hostAddress: PAGE };
  const error = assertThrows(() => vm.setMemoryRegion(second), VireoError);
  assertEquals(error.kind, "set_user_memory_region");
  assertEquals(error.message.startsWith("Cannot use memory slot 1: this KVM has 1,"), true);
});

Deno.test("Vm: a wrong or removed slot gives ENOENT (row 4.13)", () => {
  const { vm } = fakeVm();
  vm.setMemoryRegion({ slot: 3, guestAddress: 0, size: PAGE, hostAddress: PAGE });
  vm.removeMemoryRegion(3);
  for (
    const call of [
      () => vm.memoryRegion(3),
      () => vm.removeMemoryRegion(3),
      () => vm.dirtyLog(3, new Uint8Array(8)),
      () => vm.memoryRegion(4),
      () => vm.removeMemoryRegion(4),
      () => vm.dirtyLog(4, new Uint8Array(8)),
    ]
  ) assertEquals(assertThrows(call, SystemError).errno, ENOENT);
});

Deno.test(
  "Vm.setMemoryRegion(): a guest's write to read-only memory exits (row 3.14)",
  real,
  () => {
    using rom = Mapping.anonymous(PAGE);
    const bytes = new Uint8Array(rom.buffer());
    bytes.set([0x11, 0x22, 0x33, 0x44]);
    const code = new Assembler().load(0x20000).eax(0xdeadbeef).store(0x20000).load(0x20000)
      .store(0x8000).halt();
    using guest = new BareGuest(code);
    const hostAddress = rom.address;
    const region = { slot: 1, guestAddress: 0x20000, size: PAGE, hostAddress, readonly: true };
    guest.vm.setMemoryRegion(region);
    const exit = guest.run();
    assertEquals(
      [exit.reason, exit.memoryAddress, exit.memorySize, exit.memoryWrite, exit.memoryValue],
      [KVM_EXIT_MMIO, 0x20000, 4, true, 0xdeadbeef | 0],
    );
    assertEquals(guest.run().reason, KVM_EXIT_HLT);
    assertEquals([...bytes.subarray(0, 4)], [0x11, 0x22, 0x33, 0x44]);
    assertEquals([...guest.memory.subarray(0x8000, 0x8004)], [0x11, 0x22, 0x33, 0x44]);
  },
);

Deno.test("Vm.removeMemoryRegion(): later accesses exit, the host keeps the bytes", real, () => {
  using extra = Mapping.anonymous(PAGE);
  const bytes = new Uint8Array(extra.buffer());
  const code = new Assembler().eax(0x12345678).store(0x20000).halt().store(0x20004).halt();
  using guest = new BareGuest(code);
  const hostAddress = extra.address;
  guest.vm.setMemoryRegion({ slot: 1, guestAddress: 0x20000, size: PAGE, hostAddress });
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  guest.vm.removeMemoryRegion(1);
  const exit = guest.run();
  assertEquals([exit.reason, exit.memoryAddress], [KVM_EXIT_MMIO, 0x20004]);
  assertEquals([...bytes.subarray(0, 8)], [0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0]);
});

Deno.test(
  "Vm.dirtyLog() has a bit for each page written since the last call (row 3.15)",
  real,
  () => {
    const code = new Assembler();
    for (const page of [0, 3, 9]) code.store(0x20000 + page * PAGE, 1);
    using guest = new BareGuest(code.halt());
    using logged = Mapping.anonymous(16 * PAGE);
    guest.vm.setMemoryRegion({
      slot: 1,
      guestAddress: 0x20000,
      size: 16 * PAGE,
      hostAddress: logged.address,
      logDirty: true,
    });
    assertEquals(guest.run().reason, KVM_EXIT_HLT);
    const bitmap = new Uint8Array(2);
    guest.vm.dirtyLog(1, bitmap);
    assertEquals([...bitmap], [0b00001001, 0b00000010]);
    guest.vm.dirtyLog(1, bitmap);
    assertEquals([...bitmap], [0, 0]);
  },
);

Deno.test("Vm.dirtyLog() wants a bit a page and writes no byte more (row 4.10)", real, () => {
  using guest = new BareGuest(new Assembler().store(0x20000 + 16 * PAGE, 1).halt());
  using logged = Mapping.anonymous(17 * PAGE);
  const hostAddress = logged.address;
  const region = { slot: 1, guestAddress: 0x20000, size: 17 * PAGE, hostAddress };
  guest.vm.setMemoryRegion({ ...region, logDirty: true });
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  const around = new Uint8Array(16).fill(0xaa);
  const tooSmall = assertThrows(() => guest.vm.dirtyLog(1, around.subarray(4, 6)), VireoError);
  assertEquals(tooSmall.kind, "range");
  guest.vm.dirtyLog(1, around.subarray(4, 7));
  assertEquals([...around.subarray(3, 8)], [0xaa, 0, 0, 1, 0xaa]);
});

Deno.test("Vm.dirtyLog() of a slot that isn't logged fails", real, () => {
  using guest = new BareGuest([0xf4]);
  assertEquals(
    assertThrows(() => guest.vm.dirtyLog(0, new Uint8Array(2)), SystemError).errno,
    ENOENT,
  );
});

Deno.test("Vm.assignIrqfd() passes the resample eventfd on", () => {
  const { vm, kernel } = fakeVm();
  vm.assignIrqfd(5, 9, 6);
  vm.deassignIrqfd(5, 9);
  const fields = kernel.argumentsOf("KVM_IRQFD").map((bytes) => {
    const view = new DataView((bytes as Uint8Array<ArrayBuffer>).buffer);
    const { fd, gsi, flags, resamplefd } = KvmIrqfd;
    return [fd, gsi, flags, resamplefd].map((at) => view.getUint32(at, true));
  });
  assertEquals(fields, [[5, 9, 2, 6], [5, 9, 1, 0]]);
});

Deno.test("Vm.setGsiRouting() takes pins and MSIs; signalMsi() needs an irqchip", real, () => {
  using guest = new BareGuest([0xf4], { irqchip: true });
  guest.vm.setGsiRouting([
    { gsi: 5, irqchip: 2, pin: 5 },
    { gsi: 24, address: 0xfee00000n, data: 0x40 },
  ]);
  assertThrows(() => guest.vm.setGsiRouting([{ gsi: 1, irqchip: 2, pin: 99 }]), SystemError);
  using bare = new BareGuest([0xf4]);
  assertThrows(() => bare.vm.signalMsi(0xfee00000n, 0x40), SystemError, "KVM_SIGNAL_MSI");
});

Deno.test("Vm.ioctl() is the raw door", needs, () => {
  const { vm } = fakeVm({ faults: [{ name: "KVM_SET_TSS_ADDR", errno: EINVAL }] });
  assertEquals(vm.ioctl(KvmIoctl.KVM_SET_TSS_ADDR, 0x1000), -EINVAL);
  assertEquals(vm.ioctl(KvmIoctl.KVM_CREATE_IRQCHIP), 0);
});
