/**
 * How many descriptors this process may open.
 *
 * @module
 */

import { EINVAL, F_DUPFD_CLOEXEC, Rlimit, RLIMIT_NOFILE } from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";
import { closeNumber } from "./fd.ts";
import { check, descriptorFlagCalls, errno, limitCalls } from "./libc.ts";

/** Whether there is room, and what the limit is where there is none. */
export type DescriptorRoom =
  | { readonly enough: true }
  | { readonly enough: false; readonly limit: number; readonly needed: number };

/** Makes room for so many descriptors more: where the soft limit is too low it is raised as far as the hard one allows. */
export function makeDescriptorRoom(count: number): DescriptorRoom {
  const lowest = duplicateFrom(0);
  const needed = Math.max(lowest, 0) + count;
  if (lowest >= 0 && duplicateFrom(needed - 1) >= 0) return { enough: true };
  const { soft, hard } = raiseLimit(needed);
  return needed <= hard ? { enough: true } : { enough: false, limit: soft, needed };
}

/** The lowest free number from `least` on; a negative errno where the limit is below. */
function duplicateFrom(least: number): number {
  const result = descriptorFlagCalls().fcntl(0, F_DUPFD_CLOEXEC, least);
  if (result < 0) return -(errno[0] ?? EINVAL);
  closeNumber(result);
  return result;
}

/** The limits as they are now. */
function raiseLimit(needed: number): { readonly soft: number; readonly hard: number } {
  const limits = new BigUint64Array(sizeof(Rlimit) / 8);
  const bytes = new Uint8Array(limits.buffer);
  const result = limitCalls().prlimit(0, RLIMIT_NOFILE, null, bytes);
  if (result < 0) check("prlimit", -(errno[0] ?? 0), "Cannot ask for the limit of open files");
  const [soft = 0n, hard = 0n] = limits;
  if (soft >= needed || hard < needed) return { soft: Number(soft), hard: Number(hard) };
  limits[0] = hard;
  const raised = limitCalls().prlimit(0, RLIMIT_NOFILE, bytes, null);
  if (raised < 0) check("prlimit", -(errno[0] ?? 0), "Cannot raise the limit of open files");
  return { soft: Number(hard), hard: Number(hard) };
}
