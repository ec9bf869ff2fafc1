/**
 * The states of a machine, and what may be done in which.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";

/** What a machine does now. */
export type MachineState = "created" | "running" | "paused" | "yielded" | "ended" | "closed";

/** What may be done to a machine in which states, and the state that follows. A machine runs once, but for yields. */
const TRANSITIONS = {
  run: { from: ["created", "yielded"], to: "running" },
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "running" },
  yield: { from: ["running", "paused"], to: "yielded" },
  end: { from: ["running", "paused", "yielded"], to: "ended" },
  close: { from: ["created", "running", "paused", "yielded", "ended"], to: "closed" },
} as const satisfies Record<
  string,
  { readonly from: readonly MachineState[]; readonly to: MachineState }
>;

type Action = keyof typeof TRANSITIONS;

/** The state of one machine, from its creation on. */
export class Lifecycle {
  #state: MachineState = "created";

  /** What the machine does now. */
  get state(): MachineState {
    return this.#state;
  }

  /**
   * Goes on to the state that follows `action`.
   *
   * @throws VireoError as {@linkcode Lifecycle.require}
   */
  transition(action: Action): void {
    this.require(action);
    this.#state = TRANSITIONS[action].to;
  }

  /**
   * Sees that `action` may be done now.
   *
   * @throws VireoError of kind `unsupported` where it may not, `closed` after the close
   */
  require(action: Action): void {
    this.requireOpen();
    const { from } = TRANSITIONS[action];
    if (from.some((state) => state === this.#state)) return;
    throw new VireoError(
      "unsupported",
      `Cannot ${action} a machine that is ${this.#state}; only one that is ${from.join(" or ")}`,
    );
  }

  /** Throws with kind `closed` after the close. */
  requireOpen(): void {
    if (this.#state === "closed") {
      throw new VireoError("closed", "Cannot use a machine after its close; build a new one");
    }
  }
}
