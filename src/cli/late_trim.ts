/**
 * When a machine gives back the memory that starting up took: nobody says when a guest has become quiet, so after a while.
 *
 * @module
 */

import { trimMemory } from "../host/trim.ts";

/**
 * In ms. A guest is up by the first; where it is not, what was let go too early is read again from the file. By the second V8's
 * compiler, which took code pages in anew, is done with what a guest's work has made hot.
 */
const DELAYS = [5_000, 20_000];

/** Trims after each of the delays, unless it is disposed before. */
export class LateTrim implements Disposable {
  readonly #timers: readonly ReturnType<typeof setTimeout>[];

  /** @param options `delays`: ms; `trim`: gives memory back */
  constructor({ delays = DELAYS, trim = trimMemory }: {
    readonly delays?: readonly number[];
    readonly trim?: () => unknown;
  } = {}) {
    this.#timers = delays.map((delay) => setTimeout(trim, delay));
  }

  /** Nothing is to be gained any more: the process is about to end. */
  [Symbol.dispose](): void {
    this.#timers.forEach(clearTimeout);
  }
}
