/**
 * Which KVM this machine has.
 *
 * @module
 */

import { O_CLOEXEC, O_RDWR } from "../abi/linux.ts";
import { errnoText } from "../base/errors.ts";
import { closeNumber, openPath } from "../host/fd.ts";
import { readNamedText } from "../host/named_file.ts";
import { KVM_PATH, openHint } from "./kvm.ts";

/** What `/dev/kvm` is good for: nothing, tiny integer-only guests, or Linux. */
export type KvmKind = "none" | "paravirtual" | "full";

/** A kind of KVM and the sentence that says why. */
export interface HostKvm {
  readonly kind: KvmKind;
  readonly reason: string;
  /** What to do, where there is none. */
  readonly remedy?: string;
}

/** Bytes of /proc/cpuinfo that hold its first processor, flags included. */
const FIRST_PROCESSOR = 16 * 1024;

/** Looks at `/dev/kvm` and at the processor's flags. */
export function hostKvm(): HostKvm {
  const refusal = openRefusal(KVM_PATH);
  if (refusal !== undefined) return noKvm(refusal);
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

/** What a positive errno of opening the device says about it. */
export function noKvm(errno: number): HostKvm {
  return {
    kind: "none",
    reason: `${KVM_PATH} does not open: ${errnoText(errno)}`,
    remedy: openHint(errno),
  };
}

/** The positive errno of an open that fails. */
function openRefusal(path: string): number | undefined {
  // bits: flags of open
  const result = openPath(path, O_RDWR | O_CLOEXEC);
  if (result < 0) return -result;
  closeNumber(result);
  return undefined;
}
