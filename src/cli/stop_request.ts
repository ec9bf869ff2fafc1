/**
 * What ends a run from outside: a signal, the time limit, the user's Ctrl-A x.
 *
 * @module
 */

import { END_SIGNALS, type EndSignal, onSignal } from "../host/signals.ts";

/** Why a run is to end. */
export type Stop =
  | { readonly kind: "signal"; readonly signal: EndSignal }
  | { readonly kind: "timeout" }
  | { readonly kind: "quit" };

/** How long an orderly end may take before we leave without it, in ms. */
const GRACE = 3000;

/** Listens to signals from its creation on. The first request counts; a second signal leaves at once. */
export class StopRequest implements Disposable {
  readonly #abort = new AbortController();
  readonly #leave: (stop: Stop) => void;
  readonly #grace: number;
  readonly #stack = new DisposableStack();
  #stop: Stop | undefined;

  /**
   * @param leave ends the process, for when an orderly end hangs
   * @param grace milliseconds after which that is taken for granted
   */
  constructor(leave: (stop: Stop) => void, grace: number = GRACE) {
    this.#leave = leave;
    this.#grace = grace;
    for (const signal of Object.keys(END_SIGNALS) as EndSignal[]) {
      this.#stack.use(onSignal(signal, () => this.#heard(signal)));
    }
  }

  /** Aborted by the first request. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The first request, if there was one. */
  get stop(): Stop | undefined {
    return this.#stop;
  }

  /** Rejects at the first request. */
  requested(): Promise<never> {
    const { signal } = this;
    return new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  /** Asks for an end. */
  request(stop: Stop): void {
    if (this.#stop !== undefined) return;
    this.#stop = stop;
    const timer = setTimeout(() => this.#leave(stop), this.#grace);
    this.#stack.defer(() => clearTimeout(timer));
    this.#abort.abort();
  }

  /** Asks for an end after so many milliseconds. */
  startTimeout(milliseconds: number): void {
    const timer = setTimeout(() => this.request({ kind: "timeout" }), milliseconds);
    this.#stack.defer(() => clearTimeout(timer));
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #heard(signal: EndSignal): void {
    if (this.#stop === undefined) this.request({ kind: "signal", signal });
    else this.#leave({ kind: "signal", signal });
  }
}
