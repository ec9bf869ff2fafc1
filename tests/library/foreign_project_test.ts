/** The library in a project that is none of ours: another folder, another deno.json, no import map of ours. */

import { assertEquals } from "@std/assert";
import { bundleProgram } from "../../src/compile.ts";
import { requirement } from "../support/require.ts";

const MOD = new URL("../../src/mod.ts", import.meta.url).href;

/** A program as its author would write it; types are checked, as an editor does. */
const PROGRAM = `
import { ConfigError, createMachine, type Outcome, realModeEntry } from "vireo";

const mistake = await createMachine({ cpu: { count: 0 } }).catch((error: unknown) => error);
console.log(mistake instanceof ConfigError, Deno.cwd().endsWith("/elsewhere"));
await using machine = await createMachine(
  { memory: { size: "1M" }, console: { backend: "none" } },
  {
    loader({ info, memory, vcpus }) {
      memory.write(0x1000, Uint8Array.of(0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xfa, 0xf4));
      for (const vcpu of vcpus) vcpu.enter(realModeEntry(0, 0x1000));
      console.log(info.cpus, info.memorySize);
    },
  },
);
const outcome: Outcome = await machine.run({ signal: AbortSignal.timeout(30_000) });
console.log(outcome.reason, new TextDecoder().decode(machine.serialLog()));
`;

/** A device as its author would write it. */
const DEVICE = `
import { type BusDevice, type DeviceDescriptor, type FrontContext, VireoError } from "vireo";

export function front({ state, id }: DeviceDescriptor, context: FrontContext): BusDevice {
  const { words } = context.state;
  return {
    read: () => Atomics.load(words, state / 4),
    write(_offset, _size, value) {
      if (value > 100) throw new VireoError("guest", id + " takes numbers up to 100");
      Atomics.add(words, state / 4, value);
    },
  };
}
`;

/** Writes 32 and 33 to the device and its sum to the serial port. Where the device is, it is told. */
const DEVICE_PROGRAM = `
import { busDevice, createMachine, realModeEntry } from "vireo";

const [module = new URL("./device.ts", import.meta.url).href] = Deno.args;
const windows = [{ bus: "port", base: 0x510, size: 1 }] as const;
await using machine = await createMachine(
  { memory: { size: "1M" }, console: { backend: "none" } },
  {
    devices: [busDevice({ id: "sum0", module, windows, stateSize: 4 })],
    loader({ memory, vcpus }) {
      const code = [0xba, 0x10, 0x05, 0xb0, 32, 0xee, 0xb0, 33, 0xee, 0xec, 0xba, 0xf8, 0x03, 0xee];
      memory.write(0x1000, Uint8Array.from([...code, 0xfa, 0xf4]));
      vcpus[0]?.enter(realModeEntry(0, 0x1000));
    },
  },
);
const { reason } = await machine.run({ signal: AbortSignal.timeout(30_000) });
console.log(reason, new TextDecoder().decode(machine.serialLog()));
`;

/** Does work in a folder with these files, and a deno.json that names Vireo. */
async function inProject(
  files: Readonly<Record<string, string>>,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "vireo-project-" });
  const folder = `${root}/elsewhere`;
  const config = { imports: { vireo: MOD }, compilerOptions: { strict: true } };
  try {
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(config));
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await work(folder);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function deno(folder: string, ...args: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: folder,
    env: { NO_COLOR: "1", DENO_TLS_CA_STORE: "mozilla,system" },
    stdin: "null",
  }).output();
  const [out = "", said = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, said };
}

Deno.test(
  "src/mod.ts is importable from a project elsewhere, which runs a machine",
  requirement("kvm"),
  () =>
    inProject({ "main.ts": PROGRAM }, async (folder) => {
      const { code, out, said } = await deno(folder, "run", "--check", "-A", "main.ts");
      assertEquals([out, code], ["true true\n1 1048576\nhalted A\n", 0], said);
    }),
);

Deno.test(
  "a project elsewhere has devices of its own, whose modules import src/mod.ts",
  requirement("kvm"),
  () =>
    inProject({ "main.ts": DEVICE_PROGRAM, "device.ts": DEVICE }, async (folder) => {
      const { code, out, said } = await deno(folder, "run", "--check", "-A", "main.ts");
      assertEquals([out, code], ["halted A\n", 0], said);
      const checked = await deno(folder, "check", "device.ts");
      assertEquals(checked.code, 0, checked.said);
    }),
);

Deno.test(
  "a bundled program imports a device's module by its URL",
  requirement("kvm"),
  () =>
    inProject({ "device.ts": DEVICE }, async (folder) => {
      const program = DEVICE_PROGRAM.replace('"vireo"', JSON.stringify(MOD));
      await Deno.writeTextFile(`${folder}/main.ts`, program);
      const bundled = await bundleProgram(`${folder}/main.ts`, `${folder}/bundle`);
      const url = `file://${folder}/device.ts`;
      const { code, out, said } = await deno(folder, "run", "-A", bundled, url);
      assertEquals([out, code], ["halted A\n", 0], said);
    }),
);
