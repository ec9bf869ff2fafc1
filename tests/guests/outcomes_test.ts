/** How runs end: by the guest, from outside, and not at all, with the turn given to the program that runs the machine. */

import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { I8042_CMD_RESET } from "../../src/abi/devices.ts";
import { identityPageTables } from "../../src/arch/x86_64/page_tables.ts";
import { place } from "../../src/arch/x86_64/placement.ts";
import { bootGdt, linux64Entry } from "../../src/arch/x86_64/registers.ts";
import { VireoError } from "../../src/base/errors.ts";
import type { MachineConfig } from "../../src/config/machine_config.ts";
import { debugYield } from "../../src/devices/debug_port.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { Assembler, CODE_ADDRESS, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

const YIELD_PORT = 0x510;
const POWER_OFF = 0x34;
const SLEEP_CONTROL = 0x600;
/** RAM of the guest that nothing else uses. */
const COUNTER = 0x20000;
const LATE = 20_000;

/** A machine of 4 MiB with a yield port, one vCPU a code. */
async function machineOf(
  codes: readonly Assembler[],
  config: Partial<MachineConfig> = {},
): Promise<Machine> {
  const loader = tinyLoader(...codes);
  const given = { memory: 4 * 2 ** 20, rng: false, cpus: codes.length, ...config };
  const machine = await buildMachine(given, { loader });
  await machine.addDevice(debugYield({ id: "yield0", port: YIELD_PORT }));
  return machine;
}

/** A guest that counts for ever. */
function counting(): Assembler {
  return new Assembler().label("again").lockInc(COUNTER).jump("again");
}

async function counts(machine: Machine): Promise<void> {
  const before = machine.memory.readU32(COUNTER);
  while (machine.memory.readU32(COUNTER) === before) await pause(5);
}

Deno.test("Machine.run() is interrupted by its signal (row 1.8)", requirement("kvm"), async () => {
  await using machine = await machineOf([counting()]);
  const controller = new AbortController();
  const run = machine.run({ signal: controller.signal });
  await counts(machine);
  controller.abort();
  const { reason, cause, vcpu } = await run;
  assertEquals([reason, cause, vcpu], ["interrupted", "signal", -1]);
  assertEquals(machine.state, "ended");
});

Deno.test("Machine.run() tells that its time is over", requirement("kvm"), async () => {
  await using machine = await machineOf([counting()]);
  const { reason } = await machine.run({ signal: AbortSignal.timeout(100) });
  assertEquals(reason, "timed-out");
});

Deno.test(
  "Machine.run() tells a guest at HLT with interrupts off, which leaves no exit (row 1.8)",
  requirement("kvm"),
  async () => {
    await using machine = await machineOf([new Assembler().halt()]);
    const { reason, cause } = await machine.run({ signal: AbortSignal.timeout(LATE) });
    assertEquals([reason, cause], ["halted", "halted"]);
  },
);

Deno.test(
  "Machine.run() goes on as long as one vCPU runs, others at HLT or never started",
  requirement("kvm"),
  async () => {
    const waiting = new Assembler().label("wait").load(COUNTER).compareEax(1).jumpNotEqual("wait");
    await using machine = await machineOf([new Assembler().halt(), waiting.halt()], { cpus: 3 });
    const run = machine.run({ signal: AbortSignal.timeout(LATE) });
    assertEquals(await Promise.race([run, pause(500)]), undefined);
    machine.memory.writeU32(COUNTER, 1);
    assertEquals((await run).reason, "halted");
  },
);

Deno.test(
  "Machine.run() goes on where HLT waits for an interrupt",
  requirement("kvm"),
  async () => {
    const STI = 0xfb;
    const HLT = 0xf4;
    await using machine = await machineOf([new Assembler().bytes(STI, HLT)]);
    const { reason } = await machine.run({ signal: AbortSignal.timeout(500) });
    assertEquals(reason, "timed-out");
  },
);

Deno.test(
  "Machine.run() tells a reboot that a guest asks for (row 1.8)",
  requirement("kvm"),
  async () => {
    await using machine = await machineOf([new Assembler().eax(I8042_CMD_RESET).out(0x64).spin()]);
    assertEquals((await machine.run()).reason, "reboot");
  },
);

Deno.test(
  "Machine.run() gives the turn to its caller where a guest yields, and goes on from there (row 1.8)",
  requirement("kvm"),
  async () => {
    const guest = new Assembler().eax(7).out(YIELD_PORT, 4).lockInc(COUNTER).eax(8)
      .out(YIELD_PORT, 4).eax(POWER_OFF).out(SLEEP_CONTROL);
    await using machine = await machineOf([guest]);
    const first = await machine.run();
    assertEquals([first.reason, first.detail, machine.state], ["yield", 7, "yielded"]);
    assertEquals(machine.memory.readU32(COUNTER), 0);
    const second = await machine.run();
    assertEquals([second.reason, second.detail], ["yield", 8]);
    assertEquals(machine.memory.readU32(COUNTER), 1);
    assertEquals((await machine.run()).reason, "powered-off");
  },
);

Deno.test(
  "Machine.run() gives each of two vCPUs' yields its turn, none lost",
  requirement("kvm"),
  async () => {
    const guest = (value: number) => new Assembler().eax(value).out(YIELD_PORT, 4).halt();
    await using machine = await machineOf([guest(1), guest(2)]);
    const turns = [await machine.run(), await machine.run()];
    assertEquals(turns.map(({ reason }) => reason), ["yield", "yield"]);
    assertEquals(turns.map(({ detail }) => detail).sort(), [1, 2]);
    assertEquals((await machine.run({ signal: AbortSignal.timeout(LATE) })).reason, "halted");
  },
);

Deno.test(
  "Machine.yield() gives the turn to who runs the machine, which may go on (row 1.8)",
  requirement("kvm"),
  async () => {
    await using machine = await machineOf([counting()]);
    assertThrows(() => machine.yield(), VireoError, "Cannot yield a machine that is created");
    const run = machine.run();
    await counts(machine);
    machine.yield();
    const { reason, vcpu } = await run;
    assertEquals([reason, vcpu, machine.state], ["user-yield", -1, "yielded"]);
    const standing = machine.memory.readU32(COUNTER);
    await pause(50);
    assertEquals(machine.memory.readU32(COUNTER), standing);
    const controller = new AbortController();
    const on = machine.run({ signal: controller.signal });
    await counts(machine);
    controller.abort();
    assertEquals((await on).reason, "interrupted");
  },
);

const PATTERNS = Array.from({ length: 8 }, (_, i) => 0x1111_1111_1111_1111n * BigInt(i + 8));

/** Long mode: waits until r8 is not 0, compares r8 to r15 with the patterns, and prints OK where all are equal. */
function comparing(): Uint8Array {
  const code = [0x49, 0x83, 0xf8, 0x00, 0x74, 0xfa]; // again: cmp r8, 0; je again
  const ok = [0xb0, 0x4f, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xb0, 0x4b, 0xee]; // print "OK"
  for (const [i, pattern] of PATTERNS.entries()) {
    const bytes = new Uint8Array(new BigUint64Array([pattern]).buffer);
    const skipped = (PATTERNS.length - 1 - i) * 15 + ok.length;
    // mov rax, pattern; cmp r8 + i, rax; jne to the end
    code.push(0x48, 0xb8, ...bytes, 0x49, 0x39, 0xc0 + i, 0x75, skipped);
  }
  return Uint8Array.from([...code, ...ok, 0xfa, 0xf4]);
}

Deno.test(
  "Machine.setRegisters() sets r8 to r15 of a paused machine, and the guest finds them (row 1.12)",
  requirement("kvm"),
  async () => {
    const entry = linux64Entry(CODE_ADDRESS, 0);
    const loader: Loader = {
      loadMemory(_info, memory) {
        memory.write(CODE_ADDRESS, comparing());
        place(memory, [identityPageTables(), bootGdt(entry.special)]);
      },
      loadVcpu: () => entry,
    };
    await using machine = await buildMachine({ memory: 4 * 2 ** 20, rng: false }, { loader });
    const run = machine.run({ signal: AbortSignal.timeout(LATE) });
    await pause(50);
    assertMatch(
      assertThrows(() => machine.registers(), VireoError).message,
      /while it runs; pause the machine/,
    );
    await machine.pause();
    assertEquals(machine.registers().cr3, entry.special.cr3);
    const names = ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
    machine.setRegisters(Object.fromEntries(names.map((name, i) => [name, PATTERNS[i] ?? 0n])));
    assertEquals(names.map((name) => machine.registers()[name]), PATTERNS);
    await machine.resume();
    assertEquals((await run).reason, "halted");
    assertEquals(new TextDecoder().decode(machine.serialLog()), "OK");
  },
);

Deno.test(
  "Machine.setRegisters() refuses an unknown name, a value that is none, and an unknown vCPU (row 1.12)",
  requirement("kvm"),
  async () => {
    await using machine = await machineOf([counting()]);
    const before = machine.registers();
    const refused = (values: object, vcpu = 0) =>
      assertThrows(() => machine.setRegisters(values, vcpu), VireoError);
    const unknown = refused({ rbx: 5n, riip: 1n });
    assertEquals([unknown.kind, machine.registers()], ["unsupported", before]);
    assertMatch(unknown.message, /register "riip".*did you mean rip/);
    assertEquals(refused({ rax: 2n ** 64n }).kind, "range");
    assertEquals(refused({ rax: 1 }).kind, "range");
    assertMatch(refused({ rax: 1n }, 1).message, /vCPU 1: the machine has 1/);
    await machine.close();
    assertEquals(refused({ rax: 1n }).kind, "closed");
  },
);

Deno.test("Machine.yield() gives kind closed after close", requirement("kvm"), async () => {
  const machine = await machineOf([counting()]);
  await machine.close();
  assertEquals((await assertRejects(async () => await machine.yield(), VireoError)).kind, "closed");
});
