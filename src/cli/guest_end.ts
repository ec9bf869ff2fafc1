/**
 * How a guest ended by itself, for the one who ran it: by less than the outcome of the machine's run, and by what else is known.
 *
 * @module
 */

import type { Outcome } from "../machine/outcome.ts";
import type { GuestReport } from "./guest_report.ts";

/** How a guest ended. */
export type GuestEnd =
  | { readonly kind: "powered-off" | "reboot" }
  | { readonly kind: "crashed"; readonly text: string };

/** What the judgement needs of an outcome. */
type Ended = Pick<Outcome, "reason" | "text">;

/** What an outcome is by itself: whatever is no orderly end has crashed, also a guest that only stands still. */
function orderlyEnd({ reason, text }: Ended): GuestEnd {
  switch (reason) {
    case "powered-off":
    case "reboot":
      return { kind: reason };
    case "crashed":
    case "halted":
    case "debug-exit":
    case "interrupted":
    case "timed-out":
    case "yield":
    case "user-yield":
      return { kind: "crashed", text };
    default:
      throw reason satisfies never;
  }
}

/** What an outcome is where the guest's init reports in: an end before that is a crash. */
export function endByReport(outcome: Ended, report: Pick<GuestReport, "ready">): GuestEnd {
  const end = orderlyEnd(outcome);
  if (end.kind === "crashed" || report.ready) return end;
  return { kind: "crashed", text: `${outcome.text} before its init had reported in` };
}

/** Most characters that Linux writes about a panic before it resets. */
const PANIC_REPORT = 16384;
const PANIC = /Kernel panic - not syncing: ([^\r\n]*)/;

/**
 * What an outcome is where no init tells us whether it was up: a kernel that panics before the driver of pvpanic is there just
 * resets, and what it has said last tells that from a reboot.
 *
 * @param serialLog what it has written to its serial port
 */
export function endByLog(outcome: Ended, serialLog: string): GuestEnd {
  const end = orderlyEnd(outcome);
  if (end.kind !== "reboot") return end;
  const panic = serialLog.slice(-PANIC_REPORT).match(PANIC)?.[1];
  if (panic === undefined) return end;
  return { kind: "crashed", text: `The guest's kernel panicked and reset: ${panic}` };
}
