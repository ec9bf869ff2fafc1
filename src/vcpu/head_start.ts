/**
 * vCPU 0's head start: its first KVM_RUN is made by a plain thread, since its worker's isolate takes some 10 ms to come up and the
 * guest need not wait for that. The first exit does wait: the worker takes the vCPU over, and answers what it finds.
 *
 * Linux before 6.13 makes a vCPU that changes threads wait for an RCU grace period, longer than what a head start gains.
 *
 * @module
 */

import { KVM_EXIT_INTR, KVM_EXIT_UNKNOWN } from "../abi/kvm.ts";
import { EINTR } from "../abi/linux.ts";
import { endThread } from "../host/plain_thread.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { VcpuControl } from "./control.ts";

/** Linux' first release in which a vCPU changes threads without waiting. */
const FIRST_RELEASE = [6, 13] as const;

/**
 * Whether a head start gains anything.
 *
 * @param release of the host's kernel, `6.18.4-amd64`
 */
export function headStartPays(release: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [firstMajor, firstMinor] = FIRST_RELEASE;
  return major > firstMajor || (major === firstMajor && minor >= firstMinor);
}

/**
 * Ends a head start, if there is one that nobody has ended: takes the vCPU out of the guest, and leaves its exit to the caller. A
 * kick is pending then.
 *
 * @param thread of the head start
 * @returns what KVM_RUN would have given: 0 for an exit to answer, `-EINTR` for none; undefined where another isolate ends it
 */
export function endHeadStart(
  vcpu: Vcpu,
  control: VcpuControl,
  thread: bigint,
): number | undefined {
  if (!control.claimHeadStart()) return undefined;
  vcpu.exit.immediateExit = true;
  endThread(thread);
  const { reason } = vcpu.exit;
  return reason === KVM_EXIT_INTR || reason === KVM_EXIT_UNKNOWN ? -EINTR : 0;
}
