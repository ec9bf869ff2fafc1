/**
 * What every plan of a boot must satisfy, whatever the kernel's file says.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { LinuxPlan } from "../../src/boot/linux_loader.ts";
import type { FileRange } from "../../src/boot/kernel_file.ts";

/** Every range that a kernel is read to or its plan writes lies in RAM, and no two of them meet. */
export function checkPlan(
  kernel: readonly FileRange[],
  plan: LinuxPlan,
  ramEnd: number,
): void {
  const ranges = [
    ...kernel,
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
