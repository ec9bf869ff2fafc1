/**
 * What is told of a machine when something went wrong: its kernel's log, its state.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import type { Machine } from "../machine/machine.ts";
import { VcpuState } from "../vcpu/control.ts";

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
  const text = `${errorText(error)}\n${stateOf(machine)}${more()}`;
  return new VireoError("internal", text, { cause: error });
}

/** The machine's state in a line, with what each vCPU does or where it stands. */
function stateOf(machine: Machine): string {
  const vcpus = machine.vcpuStates.map((state, index) => {
    const name = Object.entries(VcpuState).find(([, value]) => value === state)?.[0];
    return `vCPU ${index} is ${name}${placeOf(machine, index)}`;
  });
  return `The machine is ${machine.state}, ${vcpus.join(", ")}`;
}

/** A vCPU that does not stand still tells nothing: the question would wait as long as it runs. */
function placeOf(machine: Machine, index: number): string {
  if (machine.vcpuStates[index] !== VcpuState.stopped) return "";
  try {
    return ` at rip 0x${machine.registers(index).rip.toString(16)}`;
  } catch {
    return "";
  }
}
