/**
 * Notices that a guest has stopped for good: every vCPU at HLT with interrupts off, or still waiting to be started by one. With
 * the kernel's interrupt controllers HLT does not leave KVM_RUN, so vCPUs whose threads sleep are asked.
 *
 * @module
 */

import { Delay } from "../base/delay.ts";
import { type VcpuControl, VcpuState } from "../vcpu/control.ts";

/** What this needs of a vCPU. */
export interface WatchedVcpu {
  readonly control: Pick<VcpuControl, "state" | "ask" | "answered" | "reply" | "question">;
  /** Whether its thread waits: in the guest's HLT, for all that can be seen from outside. */
  readonly sleeps: boolean;
  kick(): void;
}

/** Time to the first question, in ms: tiny guests end soon. */
const FIRST_DELAY = 10;
/** Longest time between questions: one costs each vCPU an exit. */
const LONGEST_DELAY = 1000;
/** How long a vCPU gets to answer, in ms; a busy one is not halted. */
const ANSWER_TIMEOUT = 1000;

/** Asks from time to time until it is disposed or all vCPUs have halted. */
export class HaltWatch implements Disposable {
  readonly #vcpus: readonly WatchedVcpu[];
  readonly #halted: () => void;
  #delay: Delay | undefined;
  #ended = false;

  /**
   * @param vcpus all of a machine
   * @param halted called once
   */
  constructor(vcpus: readonly WatchedVcpu[], halted: () => void) {
    this.#vcpus = vcpus;
    this.#halted = halted;
    this.#askAfter(FIRST_DELAY);
  }

  #askAfter(delay: number): void {
    this.#delay = new Delay(delay, () => void this.#ask(Math.min(2 * delay, LONGEST_DELAY)));
  }

  async #ask(nextDelay: number): Promise<void> {
    // A question costs an exit. Twice: one that was seen halted first may have been woken, by an NMI, by one that was later.
    const halted = this.#vcpus.every(({ sleeps }) => sleeps) &&
      await this.#allHalted() && await this.#allHalted();
    if (this.#ended) return;
    if (halted) this.#halted();
    else this.#askAfter(nextDelay);
  }

  /** Asks all at once; the first that runs decides. */
  async #allHalted(): Promise<boolean> {
    if (this.#vcpus.some(({ control }) => control.state !== VcpuState.running)) return false;
    const answers = this.#vcpus.map((handle) => {
      const question = handle.control.ask();
      handle.kick();
      return handle.control.answered(question, ANSWER_TIMEOUT);
    });
    return (await Promise.all(answers)).every((answer) => answer);
  }

  /** Asks no more, and waits for no answer: the vCPUs may have stopped before they gave one. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#delay?.[Symbol.dispose]();
    for (const { control } of this.#vcpus) control.reply(control.question, false);
  }
}
