/**
 * The memory map that a kernel is told.
 *
 * @module
 */

import { E820_TYPE_RAM, E820_TYPE_RESERVED } from "../abi/boot.ts";
import {
  EBDA_ADDRESS,
  HIGH_MEMORY_ADDRESS,
  IDENTITY_MAP_ADDRESS,
  type RamRegion,
  TSS_ADDRESS,
  TSS_SIZE,
} from "../arch/x86_64/layout.ts";

/** A row of the map. */
export interface E820Entry {
  readonly address: number;
  readonly size: number;
  /** E820_TYPE_RAM or E820_TYPE_RESERVED. */
  readonly type: number;
}

/** A range that is not for the kernel to use. */
export interface ReservedRange {
  readonly address: number;
  readonly size: number;
}

/** Reserved on every machine: a PC's EBDA and ROM area, where our tables lie, and the pages KVM needs on Intel. */
const FIXED: readonly ReservedRange[] = [
  { address: EBDA_ADDRESS, size: HIGH_MEMORY_ADDRESS - EBDA_ADDRESS },
  { address: IDENTITY_MAP_ADDRESS, size: TSS_ADDRESS + TSS_SIZE - IDENTITY_MAP_ADDRESS },
];

/**
 * RAM without its reserved parts, and the reserved ranges, in ascending order and disjoint.
 *
 * @param ram the machine's RAM, ascending
 * @param reserved further ranges that the kernel must leave alone: allocated windows, extra memory, ECAM
 */
export function e820Map(
  ram: readonly RamRegion[],
  reserved: readonly ReservedRange[] = [],
): readonly E820Entry[] {
  const taken = merge([...FIXED, ...reserved].filter(({ size }) => size > 0));
  const entries: E820Entry[] = taken.map((range) => ({ ...range, type: E820_TYPE_RESERVED }));
  for (const region of ram) {
    for (const { address, size } of subtract(region, taken)) {
      entries.push({ address, size, type: E820_TYPE_RAM });
    }
  }
  return entries.sort((a, b) => a.address - b.address);
}

/** Sorts ranges and joins those that touch or overlap. */
function merge(ranges: readonly ReservedRange[]): readonly ReservedRange[] {
  const merged: ReservedRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.address - b.address)) {
    const last = merged.at(-1);
    if (last === undefined || range.address > last.address + last.size) merged.push({ ...range });
    else {
      const end = Math.max(last.address + last.size, range.address + range.size);
      merged[merged.length - 1] = { address: last.address, size: end - last.address };
    }
  }
  return merged;
}

/** What is left of a region; `taken` is ascending and disjoint. */
function subtract(region: RamRegion, taken: readonly ReservedRange[]): readonly RamRegion[] {
  const left: RamRegion[] = [];
  const end = region.address + region.size;
  let at = region.address;
  for (const range of taken) {
    const from = Math.min(range.address, end);
    if (from > at) left.push({ address: at, size: from - at });
    at = Math.max(at, range.address + range.size);
  }
  if (end > at) left.push({ address: at, size: end - at });
  return left;
}
