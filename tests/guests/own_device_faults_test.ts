/** Devices of a program's own that fail: what the program is told, and what is left. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, VireoError } from "../../src/base/errors.ts";
import { busDevice, type BusDeviceOptions } from "../../src/devices/own_device.ts";
import type { DevicePlan } from "../../src/devices/device_plan.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { virtioDevice } from "../../src/virtio/mmio_plan.ts";
import { threadsLeft } from "../linux/host_threads.ts";
import { descriptors, descriptorsPerWorker } from "../support/descriptors.ts";
import { pause } from "../support/pause.ts";
import { Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

const NEEDS = requirement("kvm");
const MODULE = new URL("./own_device.ts", import.meta.url);
const LATE = 30_000;
const LOOPS = 20;
const CPUS = 2;
const SEED = 41;

function javascript(text: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

function bus(module: URL): DevicePlan {
  return busDevice({ id: "own0", module, windows: [{ bus: "port", base: 0x500, size: 2 }] });
}

function virtio(module: URL): DevicePlan {
  return virtioDevice({ id: "own0", module, spec: { deviceId: 4, features: [], queueSizes: [8] } });
}

/** Of {@linkcode MODULE}, both halves. */
function withBack(options: BusDeviceOptions["options"] = {}): DevicePlan {
  const windows = [{ bus: "port", base: 0x500, size: 4 }] as const;
  const back = { events: ["written"], back: "shared" } as const;
  return busDevice({ id: "own0", module: MODULE, windows, stateSize: 16, ...back, options });
}

function machineOf(device: DevicePlan, guest = new Assembler().spin()): Promise<Machine> {
  const config = { memory: 4 * 2 ** 20, rng: true, cpus: CPUS };
  return buildMachine(config, { loader: tinyLoader(guest), devices: [device] });
}

/** What a machine with such a device is refused with. */
async function refusalOf(device: DevicePlan): Promise<string> {
  const error = await assertRejects(() => machineOf(device), VireoError);
  assertEquals(error.kind, "device");
  return error.message;
}

/** What the run of a machine with such a device ends with. */
async function faultOf(device: DevicePlan, guest: Assembler): Promise<string> {
  await using machine = await machineOf(device, guest);
  const run = machine.run({ signal: AbortSignal.timeout(LATE) });
  const error = await assertRejects(() => run, VireoError);
  assertEquals([error.kind, machine.state], ["device", "ended"]);
  return error.message;
}

const MISSING = new URL("./no_such_device.ts", import.meta.url);
const UNREADABLE = javascript("export const front = = 1;");
const THROWING = javascript("throw new Error('thrown on purpose at import');");
const EMPTY = javascript("export const other = 1;");
const FAILING = javascript(
  "const fail = () => { throw new RangeError('thrown on purpose at making'); };" +
    "export { fail as front, fail as virtio };",
);
const POINTLESS = javascript("export const front = () => {}; export const virtio = () => ({});");

const CASES: readonly (readonly [what: string, module: URL, bus: RegExp, virtio: RegExp])[] = [
  [
    "is not there",
    MISSING,
    /Cannot load file:.*no_such_device\.ts, the module of device "own0": TypeError: Module not found .*; see that `deno run -A file:/,
    /Cannot load file:.*no_such_device\.ts, the module of device "own0"/,
  ],
  [
    "is no JavaScript",
    UNREADABLE,
    /Cannot load data:.*, the module of device "own0": .*; see that/s,
    /Cannot load data:.*, the module of device "own0": .*; see that/s,
  ],
  [
    "throws when it is imported",
    THROWING,
    /Cannot load data:.*"own0": Error: thrown on purpose at import; see that .*\n {4}at data:/,
    /Cannot load data:.*"own0": Error: thrown on purpose at import; see that .*\n {4}at data:/,
  ],
  [
    "lacks the export",
    EMPTY,
    /Cannot make device "own0" of data:.*: it exports no function "front"; add one/,
    /Cannot make device "own0" of data:.*: it exports no function "virtio"; add one/,
  ],
  [
    "throws when the device is made",
    FAILING,
    /Cannot make device "own0" of data:.*: RangeError: thrown on purpose at making; see to .*\n {4}at fail/,
    /Cannot make device "own0" of data:.*: RangeError: thrown on purpose at making; see to .*\n {4}at fail/,
  ],
  [
    "makes no device",
    POINTLESS,
    /Cannot make device "own0" of data:.*: what its "front" gives has no read, write; see to/,
    /Cannot make device "own0" of data:.*: what its "virtio" gives has no processQueue; see to/,
  ],
];

for (const [what, module, busPattern, virtioPattern] of CASES) {
  Deno.test(`buildMachine() refuses a device whose module ${what}`, NEEDS, async () => {
    assertMatch(await refusalOf(bus(module)), busPattern);
    assertMatch(await refusalOf(virtio(module)), virtioPattern);
  });
}

Deno.test(
  `a machine that is refused for its device leaves no descriptor and no thread, ${LOOPS} times`,
  NEEDS,
  async () => {
    const refuse = async () => {
      await refusalOf(bus(FAILING));
      await refusalOf(virtio(MISSING));
    };
    for (let i = 0; i < 3; i++) await refuse();
    const perWorker = await descriptorsPerWorker();
    const before = await descriptors(Infinity);
    for (let i = 0; i < LOOPS; i++) await refuse();
    assertEquals([await threadsLeft("vcpu_"), await threadsLeft("io_")], [[], []]);
    const expected = before + LOOPS * 2 * (CPUS + 1) * perWorker;
    const after = await descriptors(expected);
    // One of each machine would be 40; Deno itself keeps one more or less from time to time.
    assert(after <= expected + 10, `${after} descriptors are open, ${expected} were expected`);
  },
);

Deno.test(
  "a device that is added while the guest runs, and cannot be made, ends the run",
  NEEDS,
  async () => {
    const config = { memory: 4 * 2 ** 20, rng: false };
    const loader = tinyLoader(new Assembler().label("again").in(0x61).jump("again"));
    await using machine = await buildMachine(config, { loader, modules: [FAILING] });
    const run = assertRejects(() => machine.run({ signal: AbortSignal.timeout(LATE) }), VireoError);
    await machine.addDevice(bus(FAILING));
    const { kind, message } = await run;
    assertEquals(kind, "device");
    assertMatch(message, /^Cannot make device "own0" of data:.*: RangeError: thrown on purpose/);
  },
);

Deno.test(
  "what a front throws ends the run with device, module, stack, port and rip (row 1.19)",
  NEEDS,
  async () => {
    const windows = [{ bus: "port", base: 0x500, size: 4 }] as const;
    const device = busDevice({ id: "own0", module: MODULE, windows, stateSize: 16 });
    const message = await faultOf(device, new Assembler().eax(0xbad).out(0x500, 4).spin());
    assertMatch(
      message,
      /^Device "own0" of file:.*own_device\.ts failed: RangeError: thrown on purpose by a front; /,
    );
    assertMatch(message, /\n {4}at Counter\.write \(file:.*own_device\.ts:\d+:\d+\)\n/);
    assertMatch(message, /write of 1 × 4 bytes at port 0x500 at rip 0x10/);
  },
);

Deno.test(
  "what a timer of a back throws ends the run with device, module and stack",
  NEEDS,
  async () => {
    const device = withBack({ fails: true });
    const message = await faultOf(device, new Assembler().eax(1).out(0x500, 4).spin());
    assertMatch(
      message,
      /^Device "own0" of file:.*own_device\.ts failed: TypeError: thrown on purpose by a timer; /,
    );
    assertMatch(message, /\n {4}at .*own_device\.ts:\d+:\d+/);
  },
);

Deno.test(
  `a machine with a device of a program's own is closed at any moment and leaves nothing, ${LOOPS} times (seed ${SEED})`,
  NEEDS,
  async () => {
    const random = new Random(SEED);
    const writes = new Assembler().label("again").eax(1).out(0x500).jump("again");
    const device = withBack();
    const runAndClose = async () => {
      const machine = await machineOf(device, writes);
      const run = assertRejects(() => machine.run(), VireoError);
      await pause(random.below(30));
      await machine.close();
      assertEquals((await run).kind, "closed");
    };
    for (let i = 0; i < 3; i++) await runAndClose();
    const perWorker = await descriptorsPerWorker();
    const before = await descriptors(Infinity);
    for (let i = 0; i < LOOPS; i++) await runAndClose();
    assertEquals([await threadsLeft("vcpu_"), await threadsLeft("io_")], [[], []]);
    const expected = before + LOOPS * (CPUS + 1) * perWorker;
    const after = await descriptors(expected);
    assert(after <= expected + 10, `${after} descriptors are open, ${expected} were expected`);
  },
);

Deno.test("a module is named by a whole URL", () => {
  const plan = (module: URL | string) =>
    busDevice({ id: "own0", module, windows: [{ bus: "port", base: 0x500, size: 1 }] });
  assertEquals(plan(MODULE).module, MODULE.href);
  assertEquals(plan(MODULE.href).module, MODULE.href);
  for (const module of ["./own_device.ts", "own_device.ts", MODULE.pathname]) {
    const error = assertThrows(() => plan(module), VireoError);
    assertEquals(error.kind, "config");
    assertMatch(
      error.message,
      /of device "own0" is; give it as new URL\(".*own_device\.ts", import\.meta\.url\)/,
    );
  }
});

Deno.test("a virtio device of a program's own has a spec that is one", NEEDS, async () => {
  const spec = { deviceId: 4, features: [], queueSizes: [48] };
  const device = virtioDevice({ id: "own0", module: MODULE, spec });
  const error = await assertRejects(() => machineOf(device), VireoError);
  assertEquals([error.kind, error instanceof ConfigError], ["config", false]);
  assertMatch(error.message, /own0: queues have a power of two of entries/);
});
