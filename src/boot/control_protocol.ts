/**
 * What Vireo's init says to the monitor: lines of ASCII on the port `vireo.control`.
 *
 * | line | meaning |
 * |---|---|
 * | `ready` | init is through: a reset from now on is a reboot, before it was a crash |
 * | `exit N` | the command ended with status N; its ports are closed, its bytes are in the queues; a power-off follows |
 *
 * The guest is not trusted: lines are bounded, and what makes no sense is a message of its own kind.
 *
 * @module
 */

/** Names of the ports on the second console device, in the order of their numbers. */
export const PORT = {
  control: "vireo.control",
  stdin: "vireo.stdin",
  stdout: "vireo.stdout",
  stderr: "vireo.stderr",
} as const;

/** One line from the guest. */
export type ControlMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "exit"; readonly status: number }
  | { readonly kind: "malformed"; readonly text: string };

/** Longest line that init writes fits in this many bytes; readers may cut what is longer. */
export const CONTROL_LINE_MAX = 64;

/** Reads one line, without its newline. Anything that init never writes is malformed. */
export function parseControlLine(line: string): ControlMessage {
  if (line === "ready") return { kind: "ready" };
  const status = /^exit (\d{1,3})$/.exec(line)?.[1];
  if (status !== undefined && Number(status) <= 255) {
    return { kind: "exit", status: Number(status) };
  }
  return { kind: "malformed", text: JSON.stringify(line.slice(0, CONTROL_LINE_MAX)) };
}
