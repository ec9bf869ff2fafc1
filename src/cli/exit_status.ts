/**
 * The exit statuses of Vireo's commands.
 *
 * @module
 */

import { ConfigError, type ErrorKind, errorText, VireoError } from "../base/errors.ts";
import { END_SIGNALS } from "../host/signals.ts";
import type { GuestEnd } from "./guest_end.ts";
import type { Stop } from "./stop_request.ts";

/** Exit statuses by meaning. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  kvm: 3,
  crashed: 4,
  timeout: 5,
  reboot: 6,
  /** Of a command run in the guest: whatever was not its own end. */
  notTheCommand: 125,
  /** Added to the number of a signal that ended us. */
  signal: 128,
} as const;

/** The rows of the help, in order. */
export const EXIT_ROWS: readonly { readonly left: string; readonly right: string }[] = [
  { left: "  0", right: "The guest powered off, or Ctrl-A x was typed." },
  { left: "  1", right: "Our own fault; the state is printed." },
  { left: "  2", right: "Usage: an option, or a file or program that is needed, cannot be used." },
  { left: "  3", right: "KVM is missing or unfit, and so is the rig." },
  {
    left: "  4",
    right:
      "The guest crashed: a panic, a reset before its init reported in, a triple fault, or a " +
      "KVM error.",
  },
  { left: "  5", right: "--timeout is over." },
  { left: "  6", right: "The guest rebooted, with --on-reboot=exit." },
  { left: "  128+n", right: "Signal n ended us." },
  {
    left: "  --exec",
    right: "The command's own status; 125 instead of all the above but signals.",
  },
];

/** The status that a machine's end stands for. */
export function statusOfMachine(end: GuestEnd | Stop): number {
  switch (end.kind) {
    case "powered-off":
    case "quit":
      return EXIT.ok;
    case "reboot":
      return EXIT.reboot;
    case "crashed":
      return EXIT.crashed;
    case "timeout":
      return EXIT.timeout;
    case "signal":
      return EXIT.signal + END_SIGNALS[end.signal];
    default:
      throw end satisfies never;
  }
}

const USAGE_KINDS: readonly ErrorKind[] = ["config", "range", "environment", "load_memory"];
const KVM_KINDS: readonly ErrorKind[] = ["open", "compat", "platform"];

/** An error in words; one that nobody foresaw with where it happened. */
export function explain(error: unknown): string {
  // What went wrong first, then what went wrong when all was closed after it.
  if (error instanceof SuppressedError) {
    return `${explain(error.suppressed)}\nAnd at the close: ${explain(error.error)}`;
  }
  if (error instanceof VireoError || !(error instanceof Error)) return errorText(error);
  return error.stack ?? error.message;
}

/** The status that an error stands for. */
export function statusOfError(error: unknown): number {
  if (error instanceof SuppressedError) return statusOfError(error.suppressed);
  if (error instanceof ConfigError) return EXIT.usage;
  if (!(error instanceof VireoError)) return EXIT.internal;
  if (USAGE_KINDS.includes(error.kind)) return EXIT.usage;
  return KVM_KINDS.includes(error.kind) ? EXIT.kvm : EXIT.internal;
}
