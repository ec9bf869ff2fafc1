/**
 * What every plan of a boot must satisfy, whatever the kernel's file says.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { LinuxPlan } from "../../src/boot/linux_loader.ts";

/** Every range that a plan writes lies in RAM, and no two of them meet. */
export function checkPlan(plan: LinuxPlan, ramEnd: number): void {
  const ranges = [
    ...plan.kernel,
    ...(plan.initrd ? [plan.initrd] : []),
    ...plan.placements.map(({ address, bytes }) => ({ address, length: bytes.length })),
  ].toSorted((a, b) => a.address - b.address);
  let end = 0;
  for (const { address, length } of ranges) {
    assert(Number.isInteger(address) && length > 0 && address >= end, JSON.stringify(ranges));
    end = address + length;
  }
  assert(end <= ramEnd, JSON.stringify(ranges));
}
