import { assertEquals, assertThrows } from "@std/assert";
import type { CpuidEntry, CpuidRegister } from "../../../src/abi/x86.ts";
import { bootCpuid, type CpuidOptions } from "../../../src/arch/x86_64/cpuid.ts";
import { VireoError } from "../../../src/base/errors.ts";
import { hasFeature } from "../../support/cpuid.ts";

const FOLDER = new URL("../../golden/cpuid/", import.meta.url);

/** What KVM_GET_SUPPORTED_CPUID gave: function, index, flags, eax, ebx, ecx, edx in hexadecimal. */
function recorded(name: string): readonly CpuidEntry[] {
  const lines = Deno.readTextFileSync(new URL(`${name}.txt`, FOLDER)).trim().split("\n");
  return lines.map((line) => {
    const [leaf = 0, index = 0, flags = 0, eax = 0, ebx = 0, ecx = 0, edx = 0] = line.split(" ")
      .map((word) => parseInt(word, 16));
    return { function: leaf, index, flags, eax, ebx, ecx, edx };
  });
}

const AMD = recorded("amd_zen3");
const INTEL = recorded("intel_icelake");
const SMT: CpuidOptions = {
  index: 5,
  cpus: 12,
  topology: { sockets: 2, cores: 3, threads: 2 },
  tscKhz: 2_595_124,
};

function leaf(entries: readonly CpuidEntry[], id: number, index = 0): CpuidEntry {
  const found = entries.filter((entry) => entry.function === id && entry.index === index);
  assertEquals(found.length, 1, `entries of leaf ${id.toString(16)}.${index}`);
  return found[0] as CpuidEntry;
}

function registers(entry: CpuidEntry): readonly number[] {
  return (["eax", "ebx", "ecx", "edx"] as const satisfies CpuidRegister[]).map((name) =>
    entry[name]
  );
}

for (const [vendor, supported] of [["AMD", AMD], ["Intel", INTEL]] as const) {
  Deno.test(`bootCpuid() gives each of 4 vCPUs its own APIC id on ${vendor}`, () => {
    for (let index = 0; index < 4; index++) {
      const made = bootCpuid(supported, { index, cpus: 4 });
      assertEquals(leaf(made, 1).ebx, (index * 2 ** 24 + 4 * 2 ** 16 + 0x800) % 2 ** 32);
      assertEquals(leaf(made, 0xb, 0).edx, index);
      assertEquals(leaf(made, 0xb, 1).edx, index);
    }
  });

  Deno.test(`bootCpuid() describes threads and cores in leaf 0xB on ${vendor}`, () => {
    const made = bootCpuid(supported, SMT);
    // 2 threads take one bit, 3 cores two; vCPU 5 is thread 1 of core 2 of socket 0.
    assertEquals(registers(leaf(made, 0xb, 0)), [1, 2, 0x100, 5]);
    assertEquals(registers(leaf(made, 0xb, 1)), [3, 6, 0x201, 5]);
    assertEquals(registers(leaf(made, 0xb, 2)), [0, 0, 2, 5]);
    assertEquals(leaf(made, 0xb, 1).flags, 1);
  });

  Deno.test(`bootCpuid() starts the second socket's APIC ids at a power of two on ${vendor}`, () => {
    const made = bootCpuid(supported, { ...SMT, index: 6 });
    assertEquals(leaf(made, 0xb, 0).edx, 8);
    assertEquals(Math.floor(leaf(made, 1).ebx / 2 ** 24), 8);
  });

  Deno.test(`bootCpuid() turns the features of a KVM guest on and nested ones off on ${vendor}`, () => {
    const made = bootCpuid(supported, { index: 0, cpus: 2 });
    assertEquals(
      ["hypervisor", "x2apic", "tsc_deadline_timer", "ht"].map((name) =>
        hasFeature(made, name as "ht")
      ),
      [true, true, true, true],
    );
    assertEquals(
      ["vmx", "svm", "osxsave", "ospke"].map((name) => hasFeature(made, name as "vmx")),
      [false, false, false, false],
    );
  });

  Deno.test(`bootCpuid() says that a single vCPU is alone on ${vendor}`, () => {
    const made = bootCpuid(supported, { index: 0, cpus: 1 });
    assertEquals(hasFeature(made, "ht"), false);
    assertEquals(leaf(made, 1).ebx, 0x10800);
    assertEquals(hasFeature(made, "cmp_legacy"), false);
  });

  Deno.test(`bootCpuid() tells KVM's signature and frequencies on ${vendor}`, () => {
    const made = bootCpuid(supported, SMT);
    const { eax, ebx, ecx, edx } = leaf(made, 0x40000000);
    const text = new TextDecoder().decode(new Uint32Array([ebx, ecx, edx]).buffer);
    assertEquals(text, "KVMKVMKVM\0\0\0");
    assertEquals(eax, 0x40000010);
    assertEquals(registers(leaf(made, 0x40000010)), [2_595_124, 1_000_000, 0, 0]);
    assertEquals(leaf(made, 0x40000001), leaf(supported, 0x40000001));
  });

  Deno.test(`bootCpuid() leaves frequencies out that are not known on ${vendor}`, () => {
    const made = bootCpuid(supported, { index: 0, cpus: 1 });
    const ids = made.map((entry) => entry.function);
    assertEquals([0x15, 0x16, 0x40000010].some((id) => ids.includes(id)), false);
    assertEquals(leaf(made, 0x40000000).eax, 0x40000001);
  });

  Deno.test(`bootCpuid() keeps a machine without a local APIC free of its features on ${vendor}`, () => {
    const made = bootCpuid(supported, { index: 0, cpus: 1, localApic: false });
    assertEquals(hasFeature(made, "x2apic"), false);
    assertEquals(hasFeature(made, "tsc_deadline_timer"), false);
  });

  Deno.test(`bootCpuid() tells the width of physical addresses on ${vendor} (row 4.4)`, () => {
    assertEquals(leaf(bootCpuid(supported, SMT), 0x80000008).eax, leaf(supported, 0x80000008).eax);
    const made = bootCpuid(supported, { ...SMT, physicalBits: 40 });
    assertEquals(leaf(made, 0x80000008).eax % 256, 40);
  });

  Deno.test(`bootCpuid() changes nothing of the counter and xsave leaves on ${vendor}`, () => {
    const made = bootCpuid(supported, SMT);
    const ids = [0xa, 0xd];
    const pick = (entries: readonly CpuidEntry[]) =>
      entries.filter((entry) => ids.includes(entry.function));
    assertEquals(pick(made), pick(supported));
  });
}

Deno.test("bootCpuid() makes Intel's cache leaf for the machine, not the host", () => {
  const made = bootCpuid(INTEL, SMT);
  // 4 core ids; level 1 and 2 shared by a core's 2 threads, level 3 by a socket's 8 ids.
  assertEquals([0, 1, 2, 3, 4].map((index) => leaf(made, 4, index).eax), [
    0x0c004121,
    0x0c004122,
    0x0c004143,
    0x0c01c163,
    0,
  ]);
});

Deno.test("bootCpuid() gives Intel's guests the crystal and TSC clocks", () => {
  const made = bootCpuid(INTEL, SMT);
  const { eax, ebx, ecx } = leaf(made, 0x15);
  assertEquals(ecx * ebx / eax, 2_595_124_000);
  assertEquals(ecx, 1_000_000_000);
  assertEquals(registers(leaf(made, 0x16)), [2595, 2595, 100, 0]);
});

Deno.test("bootCpuid() leaves topology leaf 0x1F out where the CPU ends before it", () => {
  const made = bootCpuid(INTEL, SMT);
  assertEquals(leaf(made, 0).eax, 0x1b);
  assertEquals(made.some((entry) => entry.function === 0x1f), false);
});

Deno.test("bootCpuid() makes topology leaf 0x1F like leaf 0xB where the CPU has it", () => {
  const newer = INTEL.map((entry) => entry.function === 0 ? { ...entry, eax: 0x1f } : entry);
  const made = bootCpuid(newer, SMT);
  for (const index of [0, 1, 2]) {
    assertEquals(registers(leaf(made, 0x1f, index)), registers(leaf(made, 0xb, index)));
  }
});

Deno.test("bootCpuid() raises the highest leaf to that of topology", () => {
  const old = INTEL.map((entry) => entry.function === 0 ? { ...entry, eax: 0x7 } : entry);
  assertEquals(leaf(bootCpuid(old, SMT), 0).eax, 0xb);
});

Deno.test("bootCpuid() describes cores and nodes to AMD's guests", () => {
  const made = bootCpuid(AMD, { ...SMT, index: 11 });
  // Thread 1 of core 2 of socket 1.
  assertEquals(registers(leaf(made, 0x8000001e)), [13, 0x102, 1, 0]);
  assertEquals(leaf(made, 0x80000008).ecx, 0x3005);
  assertEquals(hasFeature(made, "topoext"), true);
  assertEquals(hasFeature(made, "cmp_legacy"), true);
  assertEquals(leaf(made, 1).ebx, 0x0d060800);
});

Deno.test("bootCpuid() makes AMD's cache leaf for the machine, not the host", () => {
  const made = bootCpuid(AMD, SMT);
  assertEquals([0, 1, 2, 3, 4].map((index) => leaf(made, 0x8000001d, index).eax), [
    0x4121,
    0x4122,
    0x4143,
    0x1c163,
    0,
  ]);
});

Deno.test("bootCpuid() hides all of nested virtualization, or what it is told to", () => {
  const svm = { function: 0x8000000a, index: 0, flags: 0, eax: 1, ebx: 8, ecx: 0, edx: 0x119b };
  const supported = [...AMD.filter((entry) => entry.function !== svm.function), svm];
  assertEquals(registers(leaf(bootCpuid(supported, SMT), svm.function)), [0, 0, 0, 0]);
  const nested = bootCpuid(supported, { ...SMT, without: ["x2apic"] });
  assertEquals(leaf(nested, svm.function), svm);
  assertEquals(hasFeature(nested, "x2apic"), false);
});

Deno.test("bootCpuid() has no two entries for one leaf and index", () => {
  for (const supported of [AMD, INTEL]) {
    const keys = bootCpuid(supported, SMT).map((entry) => `${entry.function}.${entry.index}`);
    assertEquals(new Set(keys).size, keys.length);
  }
});

Deno.test("bootCpuid() refuses a topology of another size", () => {
  for (
    const topology of [
      { sockets: 1, cores: 2, threads: 2 },
      { sockets: 0, cores: 2, threads: 2 },
      { sockets: 1.5, cores: 2, threads: 1 },
    ]
  ) {
    assertThrows(
      () => bootCpuid(AMD, { index: 0, cpus: 3, topology }),
      VireoError,
      "Cannot arrange 3 vCPUs",
    );
  }
});
