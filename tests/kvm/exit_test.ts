import { assertEquals } from "@std/assert";
import {
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_SYSTEM_EVENT,
  KVM_EXIT_UNKNOWN,
  KvmExitEmulationFailure,
  KvmExitInternal,
  KvmExitSystemEvent,
  KvmRun,
} from "../../src/abi/kvm.ts";
import { Exit } from "../../src/kvm/exit.ts";
import { describeExit, exitName } from "../../src/kvm/exit_text.ts";
import { BareGuest } from "../support/bare_guest.ts";
import { libcRequirement } from "../support/libc.ts";
import { Assembler } from "../support/tiny_guest.ts";

const real = libcRequirement("kvm");
const WINDOW = 0xd0000000;
const SIZES = [1, 2, 4] as const;

/** An exit over bytes that a test writes as the kernel would. */
function writtenExit(reason: number, write: (view: DataView, at: number) => void): Exit {
  const run = new ArrayBuffer(12288);
  const view = new DataView(run);
  view.setUint32(KvmRun.exit_reason, reason, true);
  write(view, KvmRun.exit);
  return new Exit(run);
}

Deno.test("Exit: port writes of each width give port, size and value", real, () => {
  const code = new Assembler().eax(0xfedcba98);
  for (const size of SIZES) code.out(0xffff - 8 + size, size);
  using guest = new BareGuest(code.halt());
  const seen = SIZES.map(() => {
    const exit = guest.run();
    return [exit.reason, exit.port, exit.portSize, exit.portWrite, exit.portValue(0)];
  });
  assertEquals(seen, [
    [KVM_EXIT_IO, 0xfff8, 1, true, 0x98],
    [KVM_EXIT_IO, 0xfff9, 2, true, 0xba98],
    [KVM_EXIT_IO, 0xfffb, 4, true, 0xfedcba98 | 0],
  ]);
});

Deno.test("Exit.setPortValue() answers port reads of each width, cut to it", real, () => {
  const code = new Assembler();
  SIZES.forEach((size, i) => code.eax(0).in(0x70, size).store(0x8000 + 4 * i));
  using guest = new BareGuest(code.halt());
  for (const _ of SIZES) {
    const exit = guest.run();
    assertEquals([exit.reason, exit.portWrite], [KVM_EXIT_IO, false]);
    exit.setPortValue(0, 0xffffffff);
  }
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  assertEquals([...new Uint32Array(guest.memory.slice(0x8000, 0x800c).buffer)], [
    0xff,
    0xffff,
    0xffffffff,
  ]);
});

Deno.test("Exit: `rep outsb` brings every byte in order", real, () => {
  // mov esi, 0x9000; mov ecx, 300; mov edx, 0xe9; cld; rep outsb; hlt
  const code = [
    0xbe,
    0,
    0x90,
    0,
    0,
    0xb9,
    44,
    1,
    0,
    0,
    0xba,
    0xe9,
    0,
    0,
    0,
    0xfc,
    0xf3,
    0x6e,
    0xf4,
  ];
  using guest = new BareGuest(code);
  const text = Uint8Array.from({ length: 300 }, (_, i) => (i * 7) % 256);
  guest.memory.set(text, 0x9000);
  const got: number[] = [];
  for (let exit = guest.run(); exit.reason === KVM_EXIT_IO; exit = guest.run()) {
    for (let i = 0; i < exit.portCount; i++) got.push(exit.portValue(i));
  }
  assertEquals(Uint8Array.from(got), text);
});

Deno.test("Exit: `rep insw` takes every word in order", real, () => {
  // mov edi, 0x9000; mov ecx, 40; mov edx, 0x1f0; cld; rep insw; hlt
  const code = [0xbf, 0, 0x90, 0, 0, 0xb9, 40, 0, 0, 0, 0xba, 0xf0, 1, 0, 0, 0xfc];
  using guest = new BareGuest([...code, 0xf3, 0x66, 0x6d, 0xf4]);
  let next = 0xff00;
  for (let exit = guest.run(); exit.reason === KVM_EXIT_IO; exit = guest.run()) {
    for (let i = 0; i < exit.portCount; i++) exit.setPortValue(i, next++);
  }
  const words = [...new Uint16Array(guest.memory.slice(0x9000, 0x9050).buffer)];
  assertEquals(words, Array.from({ length: 40 }, (_, i) => 0xff00 + i));
});

Deno.test("Exit: memory writes of each width give address, size and value", real, () => {
  const code = new Assembler().eax(0xffffffff);
  for (const size of SIZES) code.store(WINDOW + size * 0x100, size);
  using guest = new BareGuest(code.halt());
  const seen = SIZES.map(() => {
    const exit = guest.run();
    return [exit.reason, exit.memoryAddress, exit.memorySize, exit.memoryWrite, exit.memoryValue];
  });
  assertEquals(seen, [
    [KVM_EXIT_MMIO, WINDOW + 0x100, 1, true, 0xff],
    [KVM_EXIT_MMIO, WINDOW + 0x200, 2, true, 0xffff],
    [KVM_EXIT_MMIO, WINDOW + 0x400, 4, true, -1],
  ]);
});

Deno.test("Exit.memoryValue answers memory reads of each width, cut to it", real, () => {
  const code = new Assembler();
  SIZES.forEach((size, i) => code.eax(0).load(WINDOW, size).store(0x8000 + 4 * i));
  using guest = new BareGuest(code.halt());
  for (const _ of SIZES) {
    const exit = guest.run();
    assertEquals([exit.reason, exit.memoryWrite], [KVM_EXIT_MMIO, false]);
    exit.memoryValue = 0xfedcba98;
  }
  assertEquals(guest.run().reason, KVM_EXIT_HLT);
  assertEquals([...new Uint32Array(guest.memory.slice(0x8000, 0x800c).buffer)], [
    0x98,
    0xba98,
    0xfedcba98,
  ]);
});

Deno.test("Exit: an access that crosses a page comes in pieces", real, () => {
  const code = new Assembler().eax(0x11111111).store(WINDOW + 0xffc).store(WINDOW + 0xffe, 4)
    .halt();
  using guest = new BareGuest(code);
  const pieces: number[][] = [];
  for (let exit = guest.run(); exit.reason === KVM_EXIT_MMIO; exit = guest.run()) {
    pieces.push([exit.memoryAddress, exit.memorySize, exit.memoryByte(0)]);
  }
  assertEquals(pieces, [
    [WINDOW + 0xffc, 4, 0x11],
    [WINDOW + 0xffe, 2, 0x11],
    [WINDOW + 0x1000, 2, 0x11],
  ]);
});

Deno.test("Exit members of 8-byte accesses and high addresses", () => {
  const exit = writtenExit(KVM_EXIT_MMIO, (view, at) => {
    view.setBigUint64(at, 0xf_ffff_ffff_f000n, true);
    view.setBigUint64(at + 8, 0xfedc_ba98_7654_3210n, true);
    view.setUint32(at + 16, 8, true);
    view.setUint8(at + 20, 1);
  });
  assertEquals(exit.memoryAddress, 0xf_ffff_ffff_f000);
  assertEquals([exit.memorySize, exit.memoryWideValue], [8, 0xfedc_ba98_7654_3210n]);
  exit.memoryWideValue = 5n;
  exit.setMemoryByte(7, 1);
  assertEquals(exit.memoryWideValue, 0x0100_0000_0000_0005n);
});

Deno.test("describeExit(): a guest in the middle of nowhere ends in words (row 0.30)", real, () => {
  // jmp 0xd0000000: no memory to fetch instructions from.
  const code = [0xb8, 0, 0, 0, 0xd0, 0xff, 0xe0];
  using guest = new BareGuest(code);
  const exit = guest.run();
  assertEquals(exit.reason, KVM_EXIT_INTERNAL_ERROR);
  const text = describeExit(exit, guest.vcpu.registers().rip);
  assertEquals(text.startsWith("KVM_EXIT_INTERNAL_ERROR, suberror 1 EMULATION"), true);
  assertEquals(text.endsWith("at rip 0xd0000000"), true);
});

Deno.test("describeExit(): a triple fault is a shutdown (row 0.30)", real, () => {
  // lidt of an empty table; ud2.
  using guest = new BareGuest([0x0f, 0x01, 0x1d, 0, 0x90, 0, 0, 0x0f, 0x0b]);
  assertEquals(guest.run().reason, KVM_EXIT_SHUTDOWN);
  assertEquals(exitName(guest.vcpu.exit.reason), "KVM_EXIT_SHUTDOWN");
});

Deno.test("describeExit() takes the reset vector for no place of a shutdown (row 0.30)", () => {
  const exit = writtenExit(KVM_EXIT_SHUTDOWN, () => {});
  assertEquals(describeExit(exit, 0x1234n), "KVM_EXIT_SHUTDOWN at rip 0x1234");
  const reset = "KVM_EXIT_SHUTDOWN, after which KVM reset the vCPU, and rip with it";
  assertEquals(describeExit(exit, 0xfff0n), reset);
});

for (const [what, code] of [["reads", 0x32], ["writes", 0x30]] as const) {
  Deno.test(`a guest that ${what} an MSR that is none gets a fault of its own`, real, () => {
    // mov ecx, 0xdeadbeef; rdmsr or wrmsr: #GP, which ends in a triple fault where there is no table of handlers.
    const msr = [0xb9, 0xef, 0xbe, 0xad, 0xde, 0x0f, code];
    using guest = new BareGuest([0x0f, 0x01, 0x1d, 0, 0x90, 0, 0, ...msr, 0xf4]);
    assertEquals(guest.run().reason, KVM_EXIT_SHUTDOWN);
  });
}

Deno.test("describeExit() shows the instruction's bytes where KVM gives them (row 0.30)", () => {
  const exit = writtenExit(KVM_EXIT_INTERNAL_ERROR, (view, at) => {
    view.setUint32(at + KvmExitEmulationFailure.suberror, 1, true);
    view.setUint32(at + KvmExitEmulationFailure.ndata, 3, true);
    view.setUint32(at + KvmExitEmulationFailure.flags, 1, true);
    view.setUint8(at + KvmExitEmulationFailure.insn_size, 2);
    view.setUint8(at + KvmExitEmulationFailure.insn_bytes, 0x0f);
    view.setUint8(at + KvmExitEmulationFailure.insn_bytes + 1, 0x28);
  });
  assertEquals(
    describeExit(exit, 0x1234n),
    "KVM_EXIT_INTERNAL_ERROR, suberror 1 EMULATION (KVM cannot emulate this instruction), " +
      "instruction bytes 0f 28 at rip 0x1234",
  );
});

Deno.test("describeExit() gives each reason its detail (row 0.30)", () => {
  const internal = writtenExit(KVM_EXIT_INTERNAL_ERROR, (view, at) => {
    view.setUint32(at + KvmExitInternal.suberror, 3, true);
    view.setUint32(at + KvmExitInternal.ndata, 2, true);
    view.setBigUint64(at + KvmExitInternal.data, 0x80000306n, true);
  });
  const refused = writtenExit(KVM_EXIT_FAIL_ENTRY, (view, at) => {
    view.setBigUint64(at, 0x80000021n, true);
  });
  const unknown = writtenExit(KVM_EXIT_UNKNOWN, (view, at) => view.setUint32(at, 0x99, true));
  const event = writtenExit(KVM_EXIT_SYSTEM_EVENT, (view, at) => {
    view.setUint32(at + KvmExitSystemEvent.type, 3, true);
  });
  assertEquals([internal, refused, unknown, event].map((exit) => describeExit(exit)), [
    "KVM_EXIT_INTERNAL_ERROR, suberror 3 DELIVERY_EV (an exit while an event was delivered), " +
    "data 0x80000306 0x0",
    "KVM_EXIT_FAIL_ENTRY, the processor refused the guest's state with reason 0x80000021",
    "KVM_EXIT_UNKNOWN, processor's exit code 0x99",
    "KVM_EXIT_SYSTEM_EVENT, CRASH",
  ]);
});

Deno.test("describeExit() of a number that no kernel header has (row 0.30)", () => {
  assertEquals(describeExit(writtenExit(4711, () => {})), "KVM_EXIT_4711");
});

Deno.test("Exit's data can lie: counts of a broken kernel don't read past the union", () => {
  const exit = writtenExit(KVM_EXIT_INTERNAL_ERROR, (view, at) => {
    view.setUint32(at + KvmExitInternal.ndata, 0xffffffff, true);
    view.setUint8(at + KvmExitEmulationFailure.insn_size, 255);
  });
  assertEquals(exit.internalData().length, 16);
  assertEquals(exit.instructionBytes().length, 0);
});
