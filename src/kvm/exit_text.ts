/**
 * Exits in words, for errors and logs.
 *
 * @module
 */

import {
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_SYSTEM_EVENT,
  KVM_EXIT_UNKNOWN,
  KVM_EXIT_X86_RDMSR,
  KVM_EXIT_X86_WRMSR,
} from "../abi/kvm.ts";
import type { Exit } from "./exit.ts";

/** `KVM_EXIT_*` by number, as `linux/kvm.h` has them. */
const EXIT_NAMES = [
  "UNKNOWN",
  "EXCEPTION",
  "IO",
  "HYPERCALL",
  "DEBUG",
  "HLT",
  "MMIO",
  "IRQ_WINDOW_OPEN",
  "SHUTDOWN",
  "FAIL_ENTRY",
  "INTR",
  "SET_TPR",
  "TPR_ACCESS",
  "S390_SIEIC",
  "S390_RESET",
  "DCR",
  "NMI",
  "INTERNAL_ERROR",
  "OSI",
  "PAPR_HCALL",
  "S390_UCONTROL",
  "WATCHDOG",
  "S390_TSCH",
  "EPR",
  "SYSTEM_EVENT",
  "S390_STSI",
  "IOAPIC_EOI",
  "HYPERV",
  "ARM_NISV",
  "X86_RDMSR",
  "X86_WRMSR",
  "DIRTY_RING_FULL",
  "AP_RESET_HOLD",
  "X86_BUS_LOCK",
  "XEN",
  "RISCV_SBI",
  "RISCV_CSR",
  "NOTIFY",
  "LOONGARCH_IOCSR",
  "MEMORY_FAULT",
  "TDX",
] as const;

/** `KVM_INTERNAL_ERROR_*` by number. */
const SUBERROR_NAMES: Readonly<Record<number, string>> = {
  1: "EMULATION (KVM cannot emulate this instruction)",
  2: "SIMUL_EX (two exceptions at once)",
  3: "DELIVERY_EV (an exit while an event was delivered)",
  4: "UNEXPECTED_EXIT_REASON",
};

/** `KVM_SYSTEM_EVENT_*` by number. */
const SYSTEM_EVENT_NAMES: Readonly<Record<number, string>> = {
  1: "SHUTDOWN",
  2: "RESET",
  3: "CRASH",
  4: "WAKEUP",
  5: "SUSPEND",
  6: "SEV_TERM",
};

/** Where a processor begins after its reset. On AMD's, KVM resets a vCPU that shuts down before it tells. */
const RESET_RIP = 0xfff0n;

/** `KVM_EXIT_MMIO` for 6. */
export function exitName(reason: number): string {
  return `KVM_EXIT_${EXIT_NAMES[reason] ?? reason}`;
}

/**
 * An exit with everything that its reason comes with: `KVM_EXIT_INTERNAL_ERROR, suberror 1 EMULATION (…) at rip 0x1234`.
 *
 * @param exit right after KVM_RUN came back
 * @param rip the guest's instruction pointer, where it could be read
 */
export function describeExit(exit: Exit, rip?: bigint): string {
  const isReset = exit.reason === KVM_EXIT_SHUTDOWN && rip === RESET_RIP;
  if (isReset) return `${exitName(exit.reason)}, after which KVM reset the vCPU, and rip with it`;
  const at = rip === undefined ? "" : ` at rip ${hex(rip)}`;
  return `${exitName(exit.reason)}${exitDetail(exit)}${at}`;
}

function exitDetail(exit: Exit): string {
  switch (exit.reason) {
    case KVM_EXIT_IO:
      return `, ${
        exit.portWrite ? "write" : "read"
      } of ${exit.portCount} × ${exit.portSize} bytes at ` +
        `port ${hex(exit.port)}`;
    case KVM_EXIT_MMIO:
      return `, ${
        exit.memoryWrite ? "write" : "read"
      } of ${exit.memorySize} bytes at guest address ` +
        hex(exit.memoryAddress);
    case KVM_EXIT_INTERNAL_ERROR:
      return internalErrorDetail(exit);
    case KVM_EXIT_FAIL_ENTRY:
      return `, the processor refused the guest's state with reason ${
        hex(exit.entryFailureReason)
      }`;
    case KVM_EXIT_UNKNOWN:
      return `, processor's exit code ${hex(exit.hardwareReason)}`;
    case KVM_EXIT_SYSTEM_EVENT:
      return `, ${SYSTEM_EVENT_NAMES[exit.systemEvent] ?? `type ${exit.systemEvent}`}`;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
      return `, MSR ${hex(exit.msrIndex)}`;
    default:
      return "";
  }
}

function internalErrorDetail(exit: Exit): string {
  const name = SUBERROR_NAMES[exit.suberror] ?? "unknown";
  const bytes = Array.from(exit.instructionBytes(), (byte) => byte.toString(16).padStart(2, "0"));
  const instruction = bytes.length > 0 ? `, instruction bytes ${bytes.join(" ")}` : "";
  const data = exit.internalData();
  const values = bytes.length === 0 && data.length > 0 ? `, data ${data.map(hex).join(" ")}` : "";
  return `, suberror ${exit.suberror} ${name}${instruction}${values}`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
