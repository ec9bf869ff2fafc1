/** What a description may say, and what is said about what it may not. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { checkDescription } from "../../src/config/check.ts";
import { machineOf } from "../../src/config/machine_of.ts";
import { machineConfig } from "../../src/config/machine_config.ts";
import { mistakeText } from "../../src/config/mistake.ts";
import { KEYS } from "../../src/config/schema.ts";
import { describe } from "../support/describe.ts";

const MIB = 2 ** 20;
const KERNEL = { kernel: { path: "/vmlinuz" } };

/** The mistakes of a description that is good but for what is given. */
function mistakesOf(given: object): string[] {
  return checkDescription({ ...KERNEL, ...given }).mistakes.map(mistakeText);
}

/** The one mistake of such a description. */
function mistakeOf(given: object): string {
  const mistakes = mistakesOf(given);
  assertEquals(mistakes.length, 1, mistakes.join("\n"));
  return mistakes[0] ?? "";
}

Deno.test("describe() fills every default in and freezes the whole", () => {
  const description = describe(KERNEL);
  assertEquals(description.memory.size, 1024 * MIB);
  assertEquals(description.cpu, {
    count: 1,
    max: 1,
    sockets: 1,
    cores: 1,
    threads: 1,
    model: "host",
    features: [],
  });
  assertEquals([description.name, description.disk], ["vireo", []]);
  assert(Object.isFrozen(description) && Object.isFrozen(description.cpu.features));
  assert(Object.isFrozen(description.disk));
});

Deno.test("describe() takes memory of 1 MiB and 1 TiB, and no page less or more (rows 0.3, 0.4, 0.5)", () => {
  for (const size of ["1M", "1T", MIB, 2 ** 40]) {
    assert(describe({ ...KERNEL, memory: { size } }).memory.size >= MIB);
  }
  const refused = [
    [MIB - 4096, "It is too small"],
    [2 ** 40 + 4096, "It is too large"],
    [MIB + 4095, "It is no multiple of 4K"],
    [MIB + 4097, "It is no multiple of 4K"],
    [0, "It is too small"],
    ["0", "It is too small"],
    [-1, "It is too small"],
    [512, "It is too small: a number without a unit is bytes"],
    [2n ** 63n - 1n, "It is too large"],
    ["1 GiBB", "It is no size"],
    ["1e3", "It is no size"],
    ["-1M", "It is no size"],
    ["", "It is no size"],
    ["99999999999999999999T", "It is no size"],
    [1.5 * MIB + 0.5, "It is no whole number"],
    [true, "It is true or false"],
  ] as const;
  for (const [size, message] of refused) {
    const text = mistakeOf({ memory: { size } });
    assert(text.startsWith(`memory.size: ${message}`), text);
    assert(text.includes('allowed: "1M" to "1T", a multiple of 4K'), text);
  }
});

Deno.test("checkDescription() says that the kernel is missing (row 0.14)", () => {
  const [mistake, ...more] = checkDescription({}).mistakes.map(mistakeText);
  assertEquals(more, []);
  assertEquals(mistake, "kernel.path: It is missing; allowed: the path of a kernel");
});

Deno.test("checkDescription() refuses numbers of vCPUs that no machine has (row 3.25)", () => {
  for (const count of [0, 256, -1, 1.5, "abc", "2", null, 2n ** 64n, NaN, []]) {
    assert(mistakeOf({ cpu: { count } }).startsWith("cpu.count: It is "));
  }
});

Deno.test("checkDescription() knows one machine type, and names it (row 2.2)", () => {
  assertEquals(
    mistakeOf({ machine: { type: "q35" } }),
    'machine.type: There is no such choice (it is "q35"); allowed: "microvm"',
  );
});

Deno.test("describe() completes a topology and refuses one that is none", () => {
  const cpuOf = (cpu: object) => {
    const { count, sockets, cores, threads } = describe({ ...KERNEL, cpu }).cpu;
    return [count, sockets, cores, threads];
  };
  assertEquals(cpuOf({ count: 4 }), [4, 1, 4, 1]);
  assertEquals(cpuOf({ count: 8, sockets: 2, threads: 2 }), [8, 2, 2, 2]);
  assertEquals(cpuOf({ cores: 2, threads: 2 }), [4, 1, 2, 2]);
  const mismatch = mistakeOf({ cpu: { count: 5, sockets: 1, cores: 2, threads: 2 } });
  assert(mismatch.includes("5 vCPUs cannot be 1 sockets of 2 cores of 2 threads"), mismatch);
  assert(mistakeOf({ cpu: { count: 3, threads: 2 } }).startsWith("cpu.count: 3 vCPUs cannot be"));
  assert(mistakeOf({ cpu: { sockets: 255, cores: 255 } }).startsWith("cpu.count: 65025 vCPUs"));
  assert(mistakeOf({ cpu: { sockets: 85, cores: 3 } }).includes("the APIC id 338"));
});

Deno.test("describe() groups all vCPUs that there may be, and refuses fewer than there are (row 2.4)", () => {
  const cpuOf = (cpu: object) => {
    const { count, max, sockets, cores, threads } = describe({ ...KERNEL, cpu }).cpu;
    return [count, max, sockets, cores, threads];
  };
  assertEquals(cpuOf({ count: 2 }), [2, 2, 1, 2, 1]);
  assertEquals(cpuOf({ count: 2, max: 8, threads: 2 }), [2, 8, 1, 4, 2]);
  assertEquals(cpuOf({ max: 4 }), [4, 4, 1, 4, 1]);
  const mismatch = mistakeOf({ cpu: { count: 2, max: 6, cores: 2, threads: 2 } });
  assert(mismatch.startsWith("cpu.max: 6 vCPUs cannot be 1 sockets of 2 cores of 2"), mismatch);
  const few = mistakeOf({ cpu: { count: 4, max: 2 } });
  assert(few.startsWith("cpu.max: It is less than cpu.count, 4"), few);
  assert(mistakeOf({ cpu: { max: 256 } }).startsWith("cpu.max: It is too large"));
});

Deno.test("describe() takes a UUID in any case and no other text for one (row 2.1)", () => {
  const uuid = "8C36A6F5-0D1E-4B3A-9C3D-0123456789AB";
  assertEquals(describe({ ...KERNEL, uuid }).uuid, uuid.toLowerCase());
  assertEquals(describe(KERNEL).uuid, undefined);
  for (const wrong of ["", "8C36A6F5", `${uuid}0`, uuid.replaceAll("-", ""), `{${uuid}}`]) {
    assert(mistakeOf({ uuid: wrong }).startsWith("uuid: It holds what it may not"), wrong);
  }
});

Deno.test("describe() takes features away and knows their names", () => {
  const description = describe({ ...KERNEL, cpu: { features: ["-avx2", "-rdtscp", "-avx2"] } });
  assertEquals(description.cpu.features, ["-avx2", "-rdtscp"]);
  const { withoutFeatures } = machineOf(description, { console: null, serial: null });
  assertEquals(withoutFeatures, ["avx2", "rdtscp"]);
  assert(mistakeOf({ cpu: { features: ["-avx22"] } }).includes('did you mean "-avx2"?'));
  assert(mistakeOf({ cpu: { features: ["+avx2"] } }).includes('There is no "+avx2"'));
  assert(mistakeOf({ cpu: { features: "-avx2" } }).includes("It is a text and should be a list"));
});

Deno.test("checkDescription() refuses unknown keys and says what was meant (row 3.25)", () => {
  assert(mistakeOf({ nmae: "x" }).endsWith('did you mean "name"?'));
  assert(mistakeOf({ memory: { sise: "1G" } }).endsWith('did you mean "size"?'));
  assert(mistakeOf({ cmdline: "x" }).endsWith('did you mean "kernel.cmdline"?'));
  assert(
    mistakeOf({ disk: [{ size: "1M", aio: "native" }] }).startsWith("disk[0].aio: There is"),
  );
  const strange = JSON.parse('{"__proto__": 1, "constructor": 2}');
  assertEquals(mistakesOf(strange).length, 2);
});

Deno.test("checkDescription() refuses values of another kind", () => {
  assert(mistakeOf({ memory: 5 }).startsWith("memory: It is a whole number and should be a table"));
  assert(mistakeOf({ disk: { path: "x" } }).includes("should be a list of tables"));
  assert(mistakeOf({ disk: ["x"] }).startsWith("disk[0]: It is a text and should be a table"));
  assert(mistakeOf({ memory: { lock: "yes" } }).endsWith("allowed: true or false"));
  assert(mistakeOf({ name: 5 }).includes("should be a text"));
  assert(checkDescription("x").mistakes.length > 0);
  assert(checkDescription(null).mistakes.length > 0);
});

Deno.test("checkDescription() refuses texts and paths that nothing can be done with (row 3.25)", () => {
  const path = (path: string) => mistakesOf({ disk: [{ path }] })[0];
  assertEquals(path(""), 'disk[0].path: The path is empty (it is ""); allowed: a path');
  assert(path("a\0b")?.startsWith("disk[0].path: The path holds NUL"));
  assert(path("x".repeat(4096))?.startsWith("disk[0].path: The path is longer than 4095 bytes"));
  assert(mistakeOf({ kernel: { path: "/k", cmdline: "a\nb" } }).includes("one line without NUL"));
  assert(mistakeOf({ name: "-x" }).startsWith("name: It holds what it may not"));
  assert(mistakeOf({ disk: [{ size: "1M", serial: "x".repeat(21) }] }).includes("than 20 bytes"));
});

Deno.test("checkDescription() refuses disks without an image, with two, or of one name", () => {
  assert(mistakeOf({ disk: [{}] }).startsWith("disk[0]: Neither path nor size is given"));
  assert(mistakeOf({ disk: [{ path: "x", size: "1M" }] }).startsWith("disk[0]: Both are given"));
  const named = { disk: [{ size: "1M" }, { id: "disk0", size: "1M" }] };
  assert(mistakeOf(named).startsWith('disk[1].id: disk[0] has the id "disk0" too'));
  assert(mistakeOf({ disk: [{ size: 1000 }] }).includes("It is no multiple of 512 bytes"));
});

Deno.test("checkDescription() gives one file to one writer", () => {
  const twice = { disk: [{ path: "/a.img" }, { path: "/x/../a.img" }] };
  assert(mistakeOf(twice).startsWith("disk[1].path: disk[0].path is the same file"));
  const readers = [{ path: "/a.img", readonly: true }, { path: "/a.img", readonly: true }];
  assertEquals(mistakesOf({ disk: readers }), []);
  const log = { disk: [{ path: "/a", readonly: true }], log: { file: "/a" } };
  assert(mistakeOf(log).startsWith("log.file: disk[0].path is the same file"));
});

Deno.test("checkDescription() gives the terminal to one of console and serial port", () => {
  assert(mistakeOf({ serial: { backend: "stdio" } }).startsWith("serial.backend: The console is"));
  const serial = { serial: { backend: "stdio" }, console: { backend: "none" } };
  assertEquals(mistakesOf(serial), []);
  assert(mistakeOf({ console: { backend: "file" } }).startsWith("console.path: It is missing"));
  assert(mistakeOf({ console: { path: "/x" } }).startsWith('console.path: The backend "stdio"'));
});

Deno.test("checkDescription() finds what huge pages cannot be", () => {
  const memory = { size: "3M", hugepages: true };
  assert(mistakeOf({ memory }).includes("a multiple of 2M with memory.hugepages"));
  const file = { path: "/x", hugepages: true };
  assert(mistakeOf({ memory: file }).startsWith("memory.hugepages: Memory with a path"));
});

Deno.test("describe() throws one error for all mistakes", () => {
  const error = assertThrows(
    () => describe({ memory: { size: 1 }, name: "" }),
    ConfigError,
    "memory.size: It is too small",
  );
  assertEquals(error.message.split("\n").length, 3);
  assertEquals(error.path, "memory.size");
});

Deno.test("machineOf() turns every key into something a machine is built from", () => {
  const description = describe({
    ...KERNEL,
    uuid: "8c36a6f5-0d1e-4b3a-9c3d-0123456789ab",
    cpu: { count: 3, cores: 2, threads: 2, max: 4 },
    memory: { size: "64M", shared: true, prealloc: true },
    disk: [{ path: "/a", readonly: true, serial: "s", cache: "unsafe" }, { id: "tmp", size: "1G" }],
    rng: { source: "none" },
  });
  const config = machineConfig(machineOf(description, { console: null, serial: null }));
  assertEquals([config.cpus, config.maxCpus], [3, 4]);
  assertEquals(config.topology, { sockets: 1, cores: 2, threads: 2 });
  assertEquals(config.uuid, "8c36a6f5-0d1e-4b3a-9c3d-0123456789ab");
  assertEquals(config.memory, 64 * MIB);
  assertEquals(config.memoryOptions, {
    shared: true,
    hugepages: false,
    prealloc: true,
    lock: false,
  });
  assertEquals(config.disks, [
    { id: "disk0", path: "/a", readonly: true, serial: "s", cache: "unsafe" },
    { id: "tmp", size: 2 ** 30, readonly: false, serial: "tmp", cache: "writeback" },
  ]);
  assertEquals([config.rng, config.serial], [false, null]);
});

Deno.test("KEYS has each key once, and defaults that are allowed", () => {
  assertEquals(new Set(KEYS.map(({ path }) => path)).size, KEYS.length);
  for (const { path, initial } of KEYS) {
    const [table = "", key] = path.replace("disk[].", "disk.").split(".");
    if (initial === undefined || table === "disk") continue;
    const given = key === undefined ? { [table]: initial } : { [table]: { [key]: initial } };
    const mistakes = checkDescription({
      ...given,
      kernel: { ...KERNEL.kernel, ...given["kernel"] as object },
    });
    assertEquals(mistakes.mistakes, [], path);
  }
});

Deno.test("describe() wants a path of at most 107 bytes for a Unix socket", () => {
  const path = "/".padEnd(107, "x");
  assertEquals(describe({ ...KERNEL, serial: { backend: "unix", path } }).serial.path, path);
  for (const table of ["console", "serial"]) {
    const long = mistakeOf({ [table]: { backend: "unix", path: `${path}x` } });
    assert(long.startsWith(`${table}.path: A socket's path has at most 107 bytes`), long);
    const none = mistakeOf({ [table]: { backend: "unix" } });
    assert(none.startsWith(`${table}.path: It is missing for the backend "unix"`), none);
  }
});

Deno.test("describe() takes words and paths for the source of entropy (row 2.31)", () => {
  const rng = (rng: object) => describe({ ...KERNEL, rng }).rng;
  assertEquals(rng({}), { source: "getrandom", period: 1000 });
  assertEquals(rng({ source: "none" }).source, "none");
  assertEquals(rng({ source: "/dev/hwrng", max_bytes: "1K", period: 20 }), {
    source: "/dev/hwrng",
    max_bytes: 1024,
    period: 20,
  });
  const inFolder = checkDescription({ ...KERNEL, rng: { source: "none.bin" } }, {
    locate: () => ({ folder: "/vm" }),
  });
  assertEquals(inFolder.description?.rng.source, "/vm/none.bin");
  assert(mistakeOf({ rng: { period: 0 } }).startsWith("rng.period: It is too small"));
  assert(mistakeOf({ rng: { max_bytes: 0 } }).startsWith("rng.max_bytes: It is too small"));
  assert(mistakeOf({ rng: { source: 5 } }).includes('allowed: "getrandom", "none", a path'));
});
