/**
 * Which KVM this machine has.
 *
 * @module
 */

import { O_CLOEXEC, O_RDWR } from "../abi/linux.ts";
import { errnoText } from "../base/errors.ts";
import { closeNumber, openPath } from "../host/fd.ts";
import { readNamedText } from "../host/named_file.ts";

/** What `/dev/kvm` is good for: nothing, tiny integer-only guests, or Linux. */
export type KvmKind = "none" | "paravirtual" | "full";

/** A kind of KVM and the sentence that says why. */
export interface HostKvm {
  readonly kind: KvmKind;
  readonly reason: string;
}

/** Bytes of /proc/cpuinfo that hold its first processor, flags included. */
const FIRST_PROCESSOR = 16 * 1024;

/** Looks at `/dev/kvm` and at the processor's flags. */
export function hostKvm(): HostKvm {
  const refusal = openRefusal("/dev/kvm");
  if (refusal !== undefined) return { kind: "none", reason: refusal };
  return kvmOfFlags(readNamedText("/proc/cpuinfo", FIRST_PROCESSOR));
}

/**
 * Tells a complete KVM from a paravirtual one by the text of `/proc/cpuinfo`: without `vmx` or `svm`
 * the guest's instructions are emulated one by one, and Linux runs into one that is not.
 */
export function kvmOfFlags(cpuinfo: string): HostKvm {
  const extension = cpuinfo.match(/^flags\b.*?\b(vmx|svm)\b/m)?.[1];
  return extension === undefined
    ? { kind: "paravirtual", reason: "/dev/kvm opens, no vmx or svm in /proc/cpuinfo" }
    : { kind: "full", reason: `/dev/kvm opens, ${extension} in /proc/cpuinfo` };
}

function openRefusal(path: string): string | undefined {
  // bits: flags of open
  const result = openPath(path, O_RDWR | O_CLOEXEC);
  if (result < 0) return `cannot open ${path}: ${errnoText(-result)}`;
  closeNumber(result);
  return undefined;
}
