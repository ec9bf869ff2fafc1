/** Chips as tiny guests find them, on whatever KVM there is. */

import { assertEquals } from "@std/assert";
import {
  ACPI_GED_PORT,
  ACPI_RESET_PORT,
  ACPI_SLEEP_CONTROL_PORT,
  COM1_PORT,
  DEBUG_EXIT_PORT,
  I8042_COMMAND_PORT,
  MARKER_PORT,
  PVPANIC_PORT,
  RTC_PORT,
} from "../../src/arch/x86_64/layout.ts";
import { bootGdt, pvhEntry } from "../../src/arch/x86_64/registers.ts";
import { MARK } from "../../src/devices/boot_marks.ts";
import { write } from "../../src/host/file.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import { libcRequirement } from "../support/libc.ts";
import { Assembler, CODE_ADDRESS, tinyLoader } from "../support/tiny_guest.ts";
import { tinyMachine } from "../support/tiny_machine.ts";
import { TestPipe } from "./back_fixture.ts";

const NEEDS = libcRequirement("kvm");
const SLP_EN_S5 = 5 * 4 + 0x20;
const PIC_PORT = 0x20;
const PIC_DATA_PORT = 0x21;
const HANDLER_ADDRESS = 0x2000;
const IDT_ADDRESS = 0x3000;
const IDTR_ADDRESS = 0x3800;
const STACK_ADDRESS = 0x5000;
/** The PIC's first vector, beyond the CPU's own. */
const FIRST_VECTOR = 0x20;
const COM1_IRQ = 4;

async function outcomeOf(guest: Assembler): Promise<Outcome> {
  await using machine = await tinyMachine(tinyLoader(guest));
  return await machine.run({ signal: AbortSignal.timeout(20_000) });
}

const RESETS = [
  ["the keyboard controller", I8042_COMMAND_PORT, 0xfe],
  ["ACPI's reset register", ACPI_RESET_PORT, 1],
] as const;

for (const [what, port, value] of RESETS) {
  Deno.test(`a guest resets by ${what}, and may be run again (row 1.9)`, NEEDS, async () => {
    const guest = new Assembler().eax(value).out(port).spin();
    assertEquals((await outcomeOf(guest)).reason, "reboot");
    assertEquals((await outcomeOf(guest)).reason, "reboot");
  });
}

Deno.test(
  "a guest powers off by ACPI's sleep control, whatever other types it tries",
  NEEDS,
  async () => {
    const guest = new Assembler().eax(3 * 4 + 0x20).out(ACPI_SLEEP_CONTROL_PORT)
      .eax(SLP_EN_S5).out(ACPI_SLEEP_CONTROL_PORT).spin();
    assertEquals((await outcomeOf(guest)).reason, "powered-off");
  },
);

Deno.test("a guest that panics through pvpanic has crashed (row 2.37)", NEEDS, async () => {
  const guest = new Assembler().eax(1).out(PVPANIC_PORT).spin();
  const { reason, cause } = await outcomeOf(guest);
  assertEquals([reason, cause], ["crashed", "panic"]);
});

Deno.test("a guest sees the power button in the event device's selector", NEEDS, async () => {
  const guest = new Assembler().eax("?".charCodeAt(0)).out(COM1_PORT)
    .label("wait").in(ACPI_GED_PORT, 4).compareEax(1).jumpNotEqual("wait")
    .eax(SLP_EN_S5).out(ACPI_SLEEP_CONTROL_PORT).spin();
  await using machine = await tinyMachine(tinyLoader(guest));
  const run = machine.run({ signal: AbortSignal.timeout(20_000) });
  while (machine.serialLog().length === 0) await new Promise((r) => setTimeout(r, 5));
  machine.pressPowerButton();
  assertEquals((await run).reason, "powered-off");
});

Deno.test("a guest reads the host's century from the clock", NEEDS, async () => {
  const guest = new Assembler().eax(0x32).out(RTC_PORT).eax(0).in(RTC_PORT + 1)
    .out(DEBUG_EXIT_PORT, 4);
  assertEquals((await outcomeOf(guest)).detail, 0x20);
});

Deno.test("a guest's start is timed, and the guest adds marks of its own", NEEDS, async () => {
  const guest = new Assembler().eax(0x78).out(COM1_PORT).out(COM1_PORT)
    .in(MARKER_PORT).out(MARKER_PORT).eax(MARK.init).out(MARKER_PORT).out(DEBUG_EXIT_PORT).spin();
  await using machine = await tinyMachine(tinyLoader(guest), { bootTimer: true });
  await machine.run({ signal: AbortSignal.timeout(20_000) });
  const { vmCreated, loaded, firstRun, serial, init } = MARK;
  const codes = machine.bootMarks().map(({ code }) => code);
  assertEquals(codes, [vmCreated, loaded, firstRun, serial, MARKER_PORT, init]);
});

Deno.test("a machine without a boot timer has no marks and no port for them", NEEDS, async () => {
  const guest = new Assembler().in(MARKER_PORT).out(DEBUG_EXIT_PORT).spin();
  await using machine = await tinyMachine(tinyLoader(guest));
  assertEquals((await machine.run({ signal: AbortSignal.timeout(20_000) })).detail, 0xff);
  assertEquals(machine.bootMarks(), []);
});

/** A guest that sleeps, and whose handler of COM1's interrupt sends each byte back; `q` ends it. */
function echoLoader(): Loader {
  const main = new Assembler().bytes(0xbc, ...u32(STACK_ADDRESS)) // mov esp, STACK_ADDRESS
    .bytes(0x0f, 0x01, 0x1d, ...u32(IDTR_ADDRESS)); // lidt [IDTR_ADDRESS]
  // ICW1-4, then a mask that lets COM1 alone through.
  main.eax(0x11).out(PIC_PORT).eax(FIRST_VECTOR).out(PIC_DATA_PORT).eax(4).out(PIC_DATA_PORT)
    .eax(1).out(PIC_DATA_PORT).eax(0xff - 2 ** COM1_IRQ).out(PIC_DATA_PORT);
  main.eax(1).out(COM1_PORT + 1).eax("?".charCodeAt(0)).out(COM1_PORT)
    .bytes(0xfb).label("idle").bytes(0xf4).jump("idle"); // sti; hlt
  const handler = new Assembler().label("next").in(COM1_PORT + 5).bytes(0x24, 0x01) // and al, 1
    .compareAl(0).jumpEqual("done").in(COM1_PORT).compareAl("q".charCodeAt(0)).jumpEqual("quit")
    .out(COM1_PORT).jump("next")
    .label("done").eax(0x20).out(PIC_PORT).bytes(0xcf) // iret
    .label("quit").eax(7).out(DEBUG_EXIT_PORT, 4).spin();
  const entry = pvhEntry(CODE_ADDRESS, 0);
  return {
    loadMemory(_info, memory) {
      memory.write(CODE_ADDRESS, main.assemble());
      memory.write(HANDLER_ADDRESS, handler.assemble());
      const gdt = bootGdt(entry.special);
      memory.write(gdt.address, gdt.bytes);
      const gate = IDT_ADDRESS + 8 * (FIRST_VECTOR + COM1_IRQ);
      memory.writeU16(gate, HANDLER_ADDRESS);
      memory.writeU16(gate + 2, entry.special.cs.selector);
      memory.writeU16(gate + 4, 0x8e00); // Present, 32-bit interrupt gate.
      memory.writeU16(IDTR_ADDRESS, 0x1ff);
      memory.writeU32(IDTR_ADDRESS + 2, IDT_ADDRESS);
    },
    loadVcpu: () => entry,
  };
}

function u32(value: number): number[] {
  return [...new Uint8Array(Uint32Array.of(value).buffer)];
}

Deno.test(
  "a guest gets COM1's input by interrupt, and its output reaches a pipe",
  NEEDS,
  async () => {
    using input = new TestPipe();
    using output = new TestPipe();
    const text = "every byte comes back. ".repeat(200);
    const serial = { input: input.fd.number, output: output.fd.number };
    await using machine = await tinyMachine(echoLoader(), { serial });
    const run = machine.run({ signal: AbortSignal.timeout(30_000) });
    while (machine.serialLog().length === 0) await new Promise((r) => setTimeout(r, 5));
    write(input.fd.number, new TextEncoder().encode(`${text}q`));
    const { reason, detail } = await run;
    assertEquals([reason, detail], ["debug-exit", 7]);
    assertEquals(new TextDecoder().decode(machine.serialLog()), `?${text}`);
    await machine.close();
    assertEquals(output.drain(), `?${text}`);
  },
);
