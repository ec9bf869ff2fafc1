import { assertEquals } from "@std/assert";
import { cpuFeatureBit } from "../../src/abi/cpu_features.ts";
import { bootCpuid, NESTED } from "../../src/arch/x86_64/cpuid.ts";
import type { CpuidEntry } from "../../src/abi/x86.ts";
import { CPU_FEATURES } from "../../src/config/cpu_features.ts";
import { hasFeature } from "../support/cpuid.ts";

/** A host with every bit of every register. */
const EVERYTHING: readonly CpuidEntry[] = [[0, 0], [1, 0], [7, 0], [7, 1], [0xd, 1], [
  0x80000001,
  0,
]].map(
  ([leaf = 0, index = 0]) => ({
    function: leaf,
    index,
    flags: 0,
    eax: leaf === 0 ? 0x1f : 0xffffffff,
    ebx: 0xffffffff,
    ecx: 0xffffffff,
    edx: 0xffffffff,
  }),
);

Deno.test("every CPU feature that can be taken away has a bit of its own", () => {
  const bits = CPU_FEATURES.map((name) => cpuFeatureBit(name).join());
  assertEquals(new Set(bits).size, CPU_FEATURES.length);
});

Deno.test("bootCpuid() hides the features that are taken away, and no others", () => {
  const options = { index: 0, cpus: 1, without: [...NESTED, "avx2", "rdtscp", "xsaves"] as const };
  const entries = bootCpuid(EVERYTHING, options);
  const hidden = CPU_FEATURES.filter((name) => !hasFeature(entries, name));
  assertEquals(hidden, ["vmx", "avx2", "xsaves", "svm", "rdtscp"]);
});
