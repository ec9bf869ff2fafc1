/**
 * What a processor's CPUID says.
 *
 * @module
 */

import { CPU_FEATURE_BITS, type CpuFeature } from "../../src/abi/cpu_features.ts";
import type { CpuidEntry } from "../../src/abi/x86.ts";

/** Whether a feature is there. */
export function hasFeature(entries: readonly CpuidEntry[], feature: CpuFeature): boolean {
  const [leaf, index, register, bit] = CPU_FEATURE_BITS[feature];
  const entry = entries.find((entry) => entry.function === leaf && entry.index === index);
  return entry !== undefined && (entry[register] >>> bit & 1) === 1;
}
