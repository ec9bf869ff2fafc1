/**
 * The model-specific registers that firmware would have left to a kernel.
 *
 * @module
 */

import * as x86 from "../../abi/x86.ts";
import type { Msr } from "../../abi/x86.ts";

/**
 * What every vCPU's MSRs hold before its first instruction. Without MTRRdefType Linux takes all memory for uncached and
 * warns; without fast strings it copies slowly. The rest is zero by itself in a new vCPU and is written so that a vCPU
 * that ran before starts the same.
 */
export const BOOT_MSRS: readonly Msr[] = Object.freeze([
  { index: x86.MSR_IA32_SYSENTER_CS, data: 0n },
  { index: x86.MSR_IA32_SYSENTER_ESP, data: 0n },
  { index: x86.MSR_IA32_SYSENTER_EIP, data: 0n },
  { index: x86.MSR_STAR, data: 0n },
  { index: x86.MSR_LSTAR, data: 0n },
  { index: x86.MSR_CSTAR, data: 0n },
  { index: x86.MSR_SYSCALL_MASK, data: 0n },
  { index: x86.MSR_KERNEL_GS_BASE, data: 0n },
  // Zero, and not the host's time: KVM takes a write of 0 for "the same as the other vCPUs".
  { index: x86.MSR_IA32_TSC, data: 0n },
  { index: x86.MSR_IA32_MISC_ENABLE, data: x86.MSR_IA32_MISC_ENABLE_FAST_STRING },
  { index: x86.MSR_MTRRdefType, data: x86.MTRR_ENABLE | x86.MTRR_TYPE_WRBACK },
]);
