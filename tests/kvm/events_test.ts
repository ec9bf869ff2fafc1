import { assertEquals, assertThrows } from "@std/assert";
import { KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO } from "../../src/abi/kvm.ts";
import { wireLapic } from "../../src/arch/x86_64/lapic.ts";
import { SystemError } from "../../src/base/errors.ts";
import { EventFd } from "../../src/host/fd.ts";
import type { IoEvent } from "../../src/kvm/vm_block.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { libcRequirement } from "../support/libc.ts";
import { Assembler } from "../support/tiny_guest.ts";

const real = libcRequirement("kvm");
const WINDOW = 0xd0000050;

/** Runs to HLT; gives the reasons of the exits before it. */
function runToHalt(guest: BareGuest): number[] {
  const reasons: number[] = [];
  for (let exit = guest.run(); exit.reason !== KVM_EXIT_HLT; exit = guest.run()) {
    reasons.push(exit.reason);
  }
  return reasons;
}

/** Four eventfds at one address that want 0, 1, 2 and 3 in 4 bytes. */
function fourEvents(stack: DisposableStack): (IoEvent & { readonly event: EventFd })[] {
  return [0, 1, 2, 3].map((datamatch) => {
    const event = stack.use(EventFd.create());
    return { event, fd: event.number, address: WINDOW, length: 4, datamatch };
  });
}

Deno.test("ioeventfd counts 1000 memory writes without an exit (row 4.19)", real, () => {
  const code = new Assembler().ecx(1000).label("again").store(WINDOW).loop("again").halt();
  using guest = new BareGuest(code);
  using event = EventFd.create();
  guest.vm.assignIoEvent({ fd: event.number, address: WINDOW, length: 4 });
  assertEquals(runToHalt(guest), []);
  assertEquals(event.read(), 1000);
});

Deno.test("ioeventfd counts 1000 port writes without an exit (row 4.19)", real, () => {
  const code = new Assembler().ecx(1000).label("again").out(0x510, 2).loop("again").halt();
  using guest = new BareGuest(code);
  using event = EventFd.create();
  guest.vm.assignIoEvent({ fd: event.number, address: 0x510, length: 2, port: true });
  assertEquals(runToHalt(guest), []);
  assertEquals(event.read(), 1000);
});

Deno.test("ioeventfd signals only the event whose value was written (row 4.20)", real, () => {
  using stack = new DisposableStack();
  using guest = new BareGuest(new Assembler().eax(2).store(WINDOW).halt());
  const events = fourEvents(stack);
  for (const event of events) guest.vm.assignIoEvent(event);
  assertEquals(runToHalt(guest), []);
  assertEquals(events.map(({ event }) => event.read()), [0, 0, 1, 0]);
});

Deno.test("ioeventfd: a write of another width or value exits (row 4.20)", real, () => {
  using stack = new DisposableStack();
  const code = new Assembler().eax(2).store(WINDOW, 1).store(WINDOW, 2).eax(9).store(WINDOW).halt();
  using guest = new BareGuest(code);
  const events = fourEvents(stack);
  for (const event of events) guest.vm.assignIoEvent(event);
  assertEquals(runToHalt(guest), [KVM_EXIT_MMIO, KVM_EXIT_MMIO, KVM_EXIT_MMIO]);
  assertEquals(events.map(({ event }) => event.read()), [0, 0, 0, 0]);
});

Deno.test("ioeventfd of any length takes every width (row 4.20)", real, () => {
  const code = new Assembler().store(WINDOW, 1).store(WINDOW, 2).store(WINDOW, 4).halt();
  using guest = new BareGuest(code);
  using event = EventFd.create();
  guest.vm.assignIoEvent({ fd: event.number, address: WINDOW, length: 0 });
  assertEquals(runToHalt(guest), []);
  assertEquals(event.read(), 3);
});

Deno.test(
  "ioeventfd matches values of 1, 2 and 8 bytes at ports and in memory (row 4.20)",
  real,
  () => {
    const code = new Assembler().eax(0x1280).out(0x510, 1).out(0x510, 2).store(WINDOW, 1);
    using guest = new BareGuest(code.halt());
    using stack = new DisposableStack();
    const [byte, word, memory, wide] = [1, 2, 3, 4].map(() => stack.use(EventFd.create()));
    const fds = [byte, word, memory, wide].map((event) => event?.number ?? -1);
    const [byteFd = -1, wordFd = -1, memoryFd = -1, wideFd = -1] = fds;
    const port = { address: 0x510, port: true };
    guest.vm.assignIoEvent({ fd: byteFd, ...port, length: 1, datamatch: 0x80 });
    guest.vm.assignIoEvent({ fd: wordFd, ...port, length: 2, datamatch: 0x1280 });
    guest.vm.assignIoEvent({ fd: memoryFd, address: WINDOW, length: 1, datamatch: 0x80 });
    const datamatch = 0xffff_ffff_0000_0080n;
    guest.vm.assignIoEvent({ fd: wideFd, address: WINDOW, length: 8, datamatch });
    assertEquals(runToHalt(guest), []);
    assertEquals([byte, word, memory, wide].map((event) => event?.read()), [1, 1, 1, 0]);
  },
);

Deno.test(
  "ioeventfd: removal needs the same event, address, length and value (row 4.21)",
  real,
  () => {
    using stack = new DisposableStack();
    const code = new Assembler().eax(2).store(WINDOW).halt().store(WINDOW).halt();
    using guest = new BareGuest(code);
    const [zero, one, two, three] = fourEvents(stack);
    for (const event of [zero, one, two, three]) if (event) guest.vm.assignIoEvent(event);
    const right = { fd: two?.fd ?? -1, address: WINDOW, length: 4, datamatch: 2 } as const;
    for (
      const wrong of [
        { ...right, datamatch: 1 },
        { ...right, fd: one?.fd ?? -1 },
        { ...right, address: WINDOW + 4 },
        { ...right, length: 2 } as const,
        { ...right, port: true },
      ]
    ) assertThrows(() => guest.vm.deassignIoEvent(wrong), SystemError, "ENOENT");
    assertEquals(runToHalt(guest), []);
    assertEquals(two?.event.read(), 1);
    guest.vm.deassignIoEvent(right);
    assertEquals(runToHalt(guest), [KVM_EXIT_MMIO]);
    assertEquals(two?.event.read(), 0);
  },
);

Deno.test("ioeventfd: two events that want the same are refused", real, () => {
  using guest = new BareGuest([0xf4]);
  using event = EventFd.create();
  const wanted = { fd: event.number, address: WINDOW, length: 4 } as const;
  guest.vm.assignIoEvent(wanted);
  assertThrows(() => guest.vm.assignIoEvent(wanted), SystemError, "EEXIST");
});

/** Real-mode code: the PIC with IRQ 5 open at vector 0x25, port 0x98, then a loop; the handler counts at 0x8000 and writes port 0x99. */
function interruptCounter(): number[] {
  const out = (port: number, value: number) => [0xb0, value, 0xe6, port];
  const start = [
    ...[[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1], [0x21, 0xdf]].flatMap(([port, value]) =>
      out(port ?? 0, value ?? 0)
    ),
    ...[0xc7, 0x06, 0x94, 0, 0x80, 0x10], // mov word [0x94], 0x1080
    ...[0xc7, 0x06, 0x96, 0, 0, 0], // mov word [0x96], 0
    ...[0xbc, 0, 0x70], // mov sp, 0x7000
    ...out(0x98, 1),
    ...[0xfb, 0xeb, 0xfe], // sti; jmp $
  ];
  const handler = [
    ...[0xff, 0x06, 0, 0x80], // inc word [0x8000]
    ...out(0x20, 0x20), // end of interrupt
    ...out(0x99, 1),
    0xcf, // iret
  ];
  return [...start, ...new Array(0x80 - start.length).fill(0x90), ...handler];
}

Deno.test(
  "irqfd: each signal runs the guest's handler once, without an ioctl (row 3.21)",
  real,
  () => {
    using guest = new BareGuest(interruptCounter(), { irqchip: true, realMode: true });
    const lapic = guest.vcpu.lapic();
    wireLapic(lapic);
    guest.vcpu.setLapic(lapic);
    using event = EventFd.create();
    guest.vm.assignIrqfd(event.number, 5);
    assertEquals(guest.run().port, 0x98);
    for (let i = 1; i <= 300; i++) {
      event.signal();
      const exit = guest.run();
      assertEquals([exit.reason, exit.port], [KVM_EXIT_IO, 0x99]);
      assertEquals(new Uint16Array(guest.memory.slice(0x8000, 0x8002).buffer)[0], i);
    }
  },
);

Deno.test("irqfd: after its removal signals do nothing", real, () => {
  using guest = new BareGuest([0xf4], { irqchip: true });
  using event = EventFd.create();
  guest.vm.assignIrqfd(event.number, 5);
  assertThrows(() => guest.vm.assignIrqfd(event.number, 5), SystemError, "EBUSY");
  guest.vm.deassignIrqfd(event.number, 5);
  event.signal();
  assertEquals(event.read(), 1);
});
