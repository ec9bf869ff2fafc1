/**
 * When a machine gives back the memory that starting up took: nobody says when a guest has become quiet, so after a while.
 *
 * @module
 */

import { Delay } from "../base/delay.ts";
import { trimMemory } from "../host/trim.ts";

/**
 * In ms. A guest is up by the first; where it is not, what was let go too early is read again from the file. By the second V8's
 * compiler, which took code pages in anew, is done with what a guest's work has made hot.
 */
const DELAYS = [5_000, 20_000];

/** Trims after each of the delays, unless it is disposed before. */
export class LateTrim implements Disposable {
  readonly #delays: readonly Delay[];

  /** @param options `delays`: ms; `trim`: gives memory back */
  constructor({ delays = DELAYS, trim = trimMemory }: {
    readonly delays?: readonly number[];
    readonly trim?: () => unknown;
  } = {}) {
    this.#delays = delays.map((delay) => new Delay(delay, trim));
  }

  /** Nothing is to be gained any more: the process is about to end. */
  [Symbol.dispose](): void {
    for (const delay of this.#delays) delay[Symbol.dispose]();
  }
}
