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
