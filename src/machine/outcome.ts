/**
 * How a run of a machine ends.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { EndCause, VcpuEnded, VcpuYielded } from "../vcpu/messages.ts";

/**
 * How a run ended: the guest powered itself off, asked for a reboot, stopped for good at HLT, wrote to the debug-exit port, or
 * crashed (its own panic, a triple fault, an exit that KVM or we cannot handle); or it was `interrupted` by the run's signal, or
 * `timed-out` by one of `AbortSignal.timeout()`. After these the machine has ended. After `yield` (the guest wrote to the yield
 * port) and `user-yield` ({@linkcode Machine.yield}) its vCPUs stand still and it may be run on. Our own faults and
 * those of a program's device are not outcomes: they are thrown.
 */
export type OutcomeReason =
  | "powered-off"
  | "reboot"
  | "halted"
  | "debug-exit"
  | "crashed"
  | "interrupted"
  | "timed-out"
  | "yield"
  | "user-yield";

/** What was seen: see {@linkcode EndCause}; `signal`: of the run; `yield`: of a vCPU or the owner. */
export type OutcomeCause =
  | Exclude<EndCause, "device-error" | "vcpu-error">
  | "signal"
  | "yield";

/** What is no fault of ours or of a program's device. */
type GuestCause = Exclude<EndCause, "device-error" | "vcpu-error">;

/** The end of a run. */
export interface Outcome {
  /** In a word. */
  readonly reason: OutcomeReason;
  /** What was seen. */
  readonly cause: OutcomeCause;
  /** APIC id of the vCPU that saw it, its number where the topology leaves no gaps; -1 where it came from outside. */
  readonly vcpu: number;
  /** The value written to the debug-exit or yield port; 0 otherwise. */
  readonly detail: number;
  /** For a person; exit name, suberror and rip where KVM gave up. */
  readonly text: string;
}

const REASONS: Record<GuestCause, OutcomeReason> = {
  "power-off": "powered-off",
  reset: "reboot",
  panic: "crashed",
  "debug-exit": "debug-exit",
  halted: "halted",
  "triple-fault": "crashed",
  "kvm-error": "crashed",
};

const SENTENCES: Record<GuestCause, string> = {
  "power-off": "The guest powered itself off",
  reset: "The guest asked for a reset",
  panic: "The guest's kernel panicked",
  "debug-exit": "The guest wrote to the debug-exit port",
  halted: "The guest halted with interrupts off",
  "triple-fault": "The guest's CPU shut down after a triple fault",
  "kvm-error": "KVM cannot go on with the guest",
};

/**
 * The outcome that a vCPU's last word stands for.
 *
 * @throws VireoError of kind `internal` where that was a fault of our own, `device` of the program's device
 */
export function outcomeOf(ended: VcpuEnded): Outcome {
  const { cause, vcpu, detail } = ended;
  if (cause === "device-error") throw new VireoError("device", ended.text);
  if (cause === "vcpu-error") {
    const who = vcpu < 0 ? "An I/O worker" : `vCPU ${vcpu}'s worker`;
    throw new VireoError("internal", `${who} failed: ${ended.text}`);
  }
  const text = `${SENTENCES[cause]} (vCPU ${vcpu}${ended.text ? `: ${ended.text}` : ""})`;
  return { reason: REASONS[cause], cause, vcpu, detail, text };
}

/** The outcome of a run that stands still. */
export function outcomeOfYield({ vcpu, detail }: VcpuYielded): Outcome {
  return vcpu < 0
    ? { ...OUTSIDE, reason: "user-yield", cause: "yield", text: "The machine's owner has the turn" }
    : { reason: "yield", cause: "yield", vcpu, detail, text: `The guest yielded (vCPU ${vcpu})` };
}

/** The outcome of a run that its signal has ended, by the signal's reason. */
export function outcomeOfSignal(reason: unknown): Outcome {
  const isTimeout = reason instanceof Error && reason.name === "TimeoutError";
  return isTimeout
    ? { ...OUTSIDE, reason: "timed-out", cause: "signal", text: "The run's time is over" }
    : { ...OUTSIDE, reason: "interrupted", cause: "signal", text: "The run was interrupted" };
}

const OUTSIDE = { vcpu: -1, detail: 0 } as const;
