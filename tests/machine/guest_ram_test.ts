/** What guest RAM is made of, and how its file is refused. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { openMemoryFile, ramAllocator, type RamConfig } from "../../src/machine/guest_ram.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const MIB = 2 ** 20;

/** Runs `work` with a path in a folder of its own. */
function withFile(work: (path: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "vireo-ram-" });
  try {
    work(`${folder}/ram`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Bytes of the mapping around an address that are of one kind, by the kernel's account; it joins private ones that touch. */
function smaps(address: number, field: string): number {
  const entries = Deno.readTextFileSync("/proc/self/smaps").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const entry = entries.find((text) => {
    const [start = NaN, end = NaN] = text.split(/[- ]/, 2).map((digits) => parseInt(digits, 16));
    return start <= address && address < end;
  });
  return Number(entry?.match(new RegExp(`^${field}: +(\\d+) kB`, "m"))?.[1]) * 1024;
}

Deno.test(
  "ramAllocator() puts RAM into a file, one region behind another",
  requirement("ffi"),
  () => {
    withFile((path) => {
      const config: RamConfig = { memory: 2 * MIB, memoryOptions: { path } };
      using file = openMemoryFile(config);
      const allocate = ramAllocator(config, file);
      using low = allocate(MIB);
      using high = allocate(MIB);
      new Uint8Array(low.buffer())[5] = 1;
      new Uint8Array(high.buffer())[7] = 2;
      const bytes = Deno.readFileSync(path);
      assertEquals([bytes.length, bytes[5], bytes[MIB + 7]], [2 * MIB, 1, 2]);
    });
  },
);

Deno.test(
  "ramAllocator() empties a file that an earlier machine has left",
  requirement("ffi"),
  () => {
    withFile((path) => {
      Deno.writeFileSync(path, new Uint8Array(MIB).fill(9));
      const config: RamConfig = { memory: MIB, memoryOptions: { path } };
      using file = openMemoryFile(config);
      using ram = ramAllocator(config, file)(MIB);
      assert(new Uint8Array(ram.buffer()).every((byte) => byte === 0));
    });
  },
);

Deno.test("openMemoryFile() refuses what is no file for RAM", requirement("ffi"), () => {
  withFile((path) => {
    const refuse = (path: string, message: string) =>
      assertThrows(
        () => openMemoryFile({ memory: MIB, memoryOptions: { path } }),
        ConfigError,
        message,
      );
    Deno.writeTextFileSync(path, "a diary");
    refuse(path, "it holds 7 bytes of something else; remove it, or name another");
    assertEquals(Deno.readTextFileSync(path), "a diary");
    refuse(`${path}/x`, "memory.path: Cannot keep RAM in");
    refuse("/dev/null", "it is no regular file");
    refuse("/tmp", "EISDIR");
    Deno.removeSync(path);
    using _first = openMemoryFile({ memory: MIB, memoryOptions: { path } });
    refuse(path, "another machine or program uses it");
  });
});

Deno.test(
  "ramAllocator() brings every page in and locks it where asked (row 2.6)",
  requirement("ffi"),
  () => {
    const given = { memory: MIB, memoryOptions: { prealloc: true, lock: true, shared: true } };
    using ram = ramAllocator(given)(MIB);
    const fields = ["Rss", "Locked"].map((field) => smaps(ram.address, field));
    assertEquals(fields, [MIB, MIB]);
  },
);

Deno.test(
  "ramAllocator() leaves pages to the guest's first use by default",
  requirement("ffi"),
  () => {
    using ram = ramAllocator({ memory: 256 * MIB, memoryOptions: {} })(256 * MIB);
    assert(smaps(ram.address, "Size") >= 256 * MIB);
    assert(smaps(ram.address, "Rss") < 128 * MIB);
    assertEquals(smaps(ram.address, "Locked"), 0);
  },
);

Deno.test(
  "ramAllocator() names the key where the host has no huge pages (row 2.6)",
  requirement("ffi"),
  () => {
    // More than any host has set aside.
    const size = 2 ** 44;
    const allocate = ramAllocator({ memory: size, memoryOptions: { hugepages: true } });
    const error = assertThrows(() => allocate(size), ConfigError, "memory.hugepages: ");
    assert(error.message.includes("sysctl vm.nr_hugepages=8388608"), error.message);
  },
);
