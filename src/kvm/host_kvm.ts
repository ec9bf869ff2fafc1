/**
 * Which KVM this machine has, found without FFI.
 *
 * @module
 */

/** What `/dev/kvm` is good for: nothing, tiny integer-only guests, or Linux. */
export type KvmKind = "none" | "paravirtual" | "full";

/** A kind of KVM and the sentence that says why. */
export interface HostKvm {
  readonly kind: KvmKind;
  readonly reason: string;
}

/** Looks at `/dev/kvm` and at the processor's flags. */
export function hostKvm(): HostKvm {
  const refusal = openRefusal("/dev/kvm");
  if (refusal !== undefined) return { kind: "none", reason: refusal };
  return kvmOfFlags(Deno.readTextFileSync("/proc/cpuinfo"));
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
  try {
    Deno.openSync(path, { read: true, write: true }).close();
    return undefined;
  } catch (error) {
    return `cannot open ${path}: ${error instanceof Error ? error.message : error}`;
  }
}
