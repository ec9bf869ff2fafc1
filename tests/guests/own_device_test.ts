/** Devices of a program's own under a real vCPU: what their modules do. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { linux64Entry } from "../../src/arch/x86_64/registers.ts";
import { identityPageTables } from "../../src/arch/x86_64/page_tables.ts";
import { VireoError } from "../../src/base/errors.ts";
import { busDevice, type BusDeviceOptions } from "../../src/devices/own_device.ts";
import type { DevicePlan } from "../../src/devices/device_plan.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine, type BuildParts } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { Fifo } from "../support/fifo.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { Assembler, CODE_ADDRESS, tinyLoader } from "../support/tiny_guest.ts";
import { WORD } from "./own_device.ts";

openAllGroups();

const NEEDS = requirement("kvm");
const MODULE = new URL("./own_device.ts", import.meta.url);
const DEBUG_EXIT = 0xf4;
const LATE = 30_000;
/** Guest physical addresses of nobody else. */
const FIRST = 0xd100_0000;
const SECOND = 0xd200_0000;
/** The second interrupt controller: reads of its first port give the requests that wait. */
const PIC_OF_8_TO_15 = 0xa0;

function own(options: Partial<BusDeviceOptions> = {}): DevicePlan {
  const windows = [{ bus: "port", base: 0x500, size: 4 }] as const;
  return busDevice({ id: "own0", module: MODULE, windows, stateSize: 16, ...options });
}

function machineOf(
  code: Assembler | Loader,
  parts: Partial<BuildParts> = { devices: [own()] },
): Promise<Machine> {
  const loader = code instanceof Assembler ? tinyLoader(code) : code;
  return buildMachine({ memory: 4 * 2 ** 20, rng: false, debugExit: true }, { loader, ...parts });
}

/** Runs it to its end; gives what it wrote to the debug-exit port. */
async function detailOf(machine: Machine): Promise<number> {
  const { reason, detail } = await machine.run({ signal: AbortSignal.timeout(LATE) });
  assertEquals(reason, "debug-exit");
  return detail;
}

/** A word of the device's state. */
function wordOf(machine: Machine, word: keyof typeof WORD, id = "own0"): number {
  const device = machine.devices.find((device) => device.id === id);
  return machine.sharedState.words[(device?.state ?? 0) / 4 + WORD[word]] ?? -1;
}

/** Writes `count` bytes to a port. */
function writes(port: number, count: number): Assembler {
  return new Assembler().ecx(count).label("next").eax(1).out(port).loop("next")
    .out(DEBUG_EXIT, 4);
}

Deno.test(
  "busDevice() counts what a guest writes to each port of its list (row 1.17)",
  NEEDS,
  async () => {
    const windows = [{ bus: "port", base: 0x500, size: 1 }, {
      bus: "port",
      base: 0x510,
      size: 1,
      offset: 1,
    }] as const;
    const guest = new Assembler().ecx(1000).label("next").eax(1).out(0x500).out(0x510)
      .loop("next").in(0x510).out(DEBUG_EXIT, 1);
    await using machine = await machineOf(guest, { devices: [own({ windows })] });
    assertEquals(await detailOf(machine), 1);
    assertEquals(wordOf(machine, "writes"), 2000);
  },
);

Deno.test(
  "busDevice() answers in each of its two regions of memory (row 1.16)",
  NEEDS,
  async () => {
    const windows = [
      { bus: "memory", base: FIRST, size: 0x1000, offset: 0x1000 },
      { bus: "memory", base: SECOND, size: 0x1000, offset: 0x2000 },
    ] as const;
    const guest = new Assembler().load(FIRST + 4).compareEax(0x1104).jumpNotEqual("end")
      .load(SECOND + 8).compareEax(0x2108).jumpNotEqual("end").eax(7)
      .label("end").out(DEBUG_EXIT, 4);
    const device = own({ windows, options: { seed: 0x100 } });
    await using machine = await machineOf(guest, { devices: [device] });
    assertEquals(await detailOf(machine), 7);
  },
);

Deno.test(
  "a device's front is told the width of each access, 1 to 8 bytes (row 1.18)",
  NEEDS,
  async () => {
    // mov rbx, FIRST; mov al, [rbx]; mov ax, [rbx]; mov eax, [rbx]; mov rax, [rbx]; mov [rbx], rax; mov edx, 0xf4; out dx, eax
    const code = [
      ...[0xbb, 0x00, 0x00, 0x00, 0xd1],
      ...[0x8a, 0x03, 0x66, 0x8b, 0x03, 0x8b, 0x03, 0x48, 0x8b, 0x03, 0x48, 0x89, 0x03],
      ...[0xba, DEBUG_EXIT, 0, 0, 0, 0xef],
    ];
    const loader: Loader = {
      loadMemory(_info, memory) {
        const { address, bytes } = identityPageTables();
        memory.write(address, bytes);
        memory.write(CODE_ADDRESS, Uint8Array.from(code));
      },
      loadVcpu: () => linux64Entry(CODE_ADDRESS, 0),
    };
    const windows = [{ bus: "memory", base: FIRST, size: 0x1000 }] as const;
    await using machine = await machineOf(loader, { devices: [own({ windows })] });
    assertEquals(await detailOf(machine), 0x5566_7788);
    assertEquals(wordOf(machine, "widths"), 1 + 2 + 4 + 8);
    assertEquals([wordOf(machine, "wideHigh"), wordOf(machine, "wideLow")], [
      0x1122_3344,
      0x5566_7788,
    ]);
  },
);

for (const back of ["shared", "blocking"] as const) {
  Deno.test(
    `a device's back in its ${back} worker, told by its front, interrupts the guest later (row 1.14)`,
    NEEDS,
    async () => {
      // GSI 10 is input 2 of the second controller.
      const guest = new Assembler().in(PIC_OF_8_TO_15).compareAl(0).jumpNotEqual("end")
        .eax(1).out(0x500)
        .label("wait").in(PIC_OF_8_TO_15).compareAl(4).jumpNotEqual("wait")
        .label("end").out(DEBUG_EXIT, 1);
      const device = own({ gsi: 10, events: ["written"], back });
      await using machine = await machineOf(guest, { devices: [device] });
      assertEquals(await detailOf(machine), 4);
    },
  );
}

Deno.test("two machines of one module have devices of their own (row 1.15)", NEEDS, async () => {
  await using one = await machineOf(writes(0x500, 3));
  await using two = await machineOf(writes(0x500, 5));
  await Promise.all([detailOf(one), detailOf(two)]);
  assertEquals([wordOf(one, "writes"), wordOf(two, "writes")], [3, 5]);
});

Deno.test("the fronts of all vCPUs share a device's state", NEEDS, async () => {
  const count = new Assembler().ecx(100).label("next").eax(1).out(0x500).loop("next").halt();
  const loader = tinyLoader(count, count, count);
  await using machine = await buildMachine(
    { memory: 4 * 2 ** 20, rng: false, cpus: 3 },
    { loader, devices: [own()] },
  );
  assertEquals((await machine.run({ signal: AbortSignal.timeout(LATE) })).reason, "halted");
  assertEquals(wordOf(machine, "writes"), 300);
});

Deno.test(
  "Machine.addDevice() takes a device whose module the machine was told of, while it runs",
  NEEDS,
  async () => {
    const guest = new Assembler().label("absent").in(0x500).compareAl(0xff).jumpEqual("absent")
      .eax(1).out(0x500).out(DEBUG_EXIT, 4);
    await using machine = await machineOf(guest, { modules: [MODULE] });
    const detail = detailOf(machine);
    await machine.addDevice(own());
    assertEquals([await detail, wordOf(machine, "writes")], [1, 1]);
  },
);

Deno.test(
  "Machine.addDevice() refuses a device whose module the workers do not have, and says what to do",
  NEEDS,
  async () => {
    await using machine = await machineOf(writes(0x500, 1), {});
    const error = await assertRejects(() => machine.addDevice(own()), VireoError);
    assertEquals(error.kind, "unsupported");
    assertMatch(
      error.message,
      /device "own0".* not loaded file:.*own_device\.ts; name it among `modules`/,
    );
    assertEquals(machine.devices.some(({ id }) => id === "own0"), false);
  },
);

Deno.test("a machine with devices of a program's own starts behind a barrier", NEEDS, async () => {
  const loader = tinyLoader(writes(0x500, 9), new Assembler().halt());
  const config = { memory: 4 * 2 ** 20, rng: false, debugExit: true, cpus: 2, startBarrier: true };
  await using machine = await buildMachine(config, { loader, devices: [own()] });
  await detailOf(machine);
  assertEquals(wordOf(machine, "writes"), 9);
});

Deno.test(
  "a machine whose devices are made reads nothing for them until it is run",
  NEEDS,
  async () => {
    using input = new Fifo();
    input.put("typed early");
    const loader = tinyLoader(
      new Assembler().label("none").in(0x3fd).bytes(0xa8, 1)
        .jumpEqual("none").in(0x3f8).out(DEBUG_EXIT, 1),
    );
    const serial = { input: input.reader.number, output: -1 };
    const config = { memory: 4 * 2 ** 20, rng: false, debugExit: true, serial };
    await using machine = await buildMachine(config, { loader, modules: [MODULE] });
    await pause(100);
    assertEquals(new TextDecoder().decode(input.take()), "typed early");
    input.put("t");
    assertEquals(await detailOf(machine), "t".charCodeAt(0));
  },
);
