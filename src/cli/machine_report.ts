/**
 * What is told of a machine when something went wrong: its kernel's log, its state.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import type { Machine } from "../machine/machine.ts";

const LOG_LINES = 200;

/** The last lines of what the guest's kernel wrote to the serial port; empty where it wrote nothing. */
export function kernelLog(machine: Machine): string {
  const lines = new TextDecoder().decode(machine.serialLog()).trimEnd().split(/\r?\n/);
  return lines.slice(-LOG_LINES).join("\n");
}

/** Our own fault, with what is known about the machine at that moment, and `more` behind it; another's error as it is. */
export function withState(
  error: unknown,
  machine: Machine,
  more: () => string = () => "",
): unknown {
  if (error instanceof VireoError && error.kind !== "internal") return error;
  const state = `machine ${machine.state}, vCPU states ${machine.vcpuStates.join(" ")}`;
  return new VireoError("internal", `${errorText(error)} (${state})${more()}`, { cause: error });
}
