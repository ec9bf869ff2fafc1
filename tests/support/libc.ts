/**
 * Opens libc before any test runs: `deno test` counts a library that is first opened inside a test as that test's leak.
 *
 * @module
 */

import { openAllGroups } from "../../src/host/libc.ts";
import { type Need, type Requirement, requirement } from "./require.ts";

/** {@linkcode requirement} for test files that call libc. */
export function libcRequirement(...needs: readonly Need[]): Requirement {
  const options = requirement(...needs);
  if (!options.ignore) openAllGroups();
  return options;
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** This process's threads, by the kernel's ids. */
export function threads(): number[] {
  return [...Deno.readDirSync("/proc/self/task")].map(({ name }) => Number(name));
}

/** A field of /proc/self/status in KiB: `VmSize`, `VmRSS`. */
export function statusKib(field: string): number {
  const text = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
}
