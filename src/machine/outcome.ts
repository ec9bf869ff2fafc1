/**
 * How a run of a machine ends.
 *
 * @module
 */

import type { EndCause, VcpuEnded } from "../vcpu/messages.ts";

/**
 * How a run ended: the guest powered itself off, asked for a reboot, stopped for good at HLT, wrote to the debug-exit port, or
 * crashed (its own panic, a triple fault, an exit that KVM or we cannot handle). Our own faults are not outcomes: they are
 * thrown.
 */
export type OutcomeReason = "powered-off" | "reboot" | "halted" | "debug-exit" | "crashed";

/** The end of a run. */
export interface Outcome {
  /** In a word. */
  readonly reason: OutcomeReason;
  /** What was seen. */
  readonly cause: EndCause;
  /** Number of the vCPU that saw it. */
  readonly vcpu: number;
  /** The value written to the debug-exit port; 0 otherwise. */
  readonly detail: number;
  /** For a person; exit name, suberror and rip where KVM gave up. */
  readonly text: string;
}

const REASONS: Record<Exclude<EndCause, "vcpu-error">, OutcomeReason> = {
  "power-off": "powered-off",
  reset: "reboot",
  panic: "crashed",
  "debug-exit": "debug-exit",
  halted: "halted",
  "triple-fault": "crashed",
  "kvm-error": "crashed",
};

const SENTENCES: Record<Exclude<EndCause, "vcpu-error">, string> = {
  "power-off": "The guest powered itself off",
  reset: "The guest asked for a reset",
  panic: "The guest's kernel panicked",
  "debug-exit": "The guest wrote to the debug-exit port",
  halted: "The guest halted",
  "triple-fault": "The guest's CPU shut down after a triple fault",
  "kvm-error": "KVM cannot go on with the guest",
};

/** The outcome that a vCPU's last word stands for; undefined where the fault was ours. */
export function outcomeOf(ended: VcpuEnded): Outcome | undefined {
  const { cause, vcpu, detail } = ended;
  if (cause === "vcpu-error") return undefined;
  const text = `${SENTENCES[cause]} (vCPU ${vcpu}${ended.text ? `: ${ended.text}` : ""})`;
  return { reason: REASONS[cause], cause, vcpu, detail, text };
}
