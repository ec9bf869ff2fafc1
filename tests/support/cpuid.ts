/**
 * What a processor's CPUID says.
 *
 * @module
 */

import { type CpuFeature, cpuFeatureBit } from "../../src/abi/cpu_features.ts";
import type { CpuidEntry } from "../../src/abi/x86.ts";

/** Whether a feature is there. */
export function hasFeature(entries: readonly CpuidEntry[], feature: CpuFeature): boolean {
  const [leaf, index, register, bit] = cpuFeatureBit(feature);
  const entry = entries.find((entry) => entry.function === leaf && entry.index === index);
  return entry !== undefined && (entry[register] >>> bit & 1) === 1;
}
