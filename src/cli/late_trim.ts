/**
 * When a machine gives back the memory that starting up took: nobody says when a guest of `run` is up, so after a while.
 *
 * @module
 */

import { trimMemory } from "../host/trim.ts";

/** A guest is up by then, in ms; and where it is not, what was let go too early is read again from the file. */
const DELAY = 5000;

/** Trims once, unless it is disposed before. */
export class LateTrim implements Disposable {
  readonly #timer: ReturnType<typeof setTimeout>;

  /** @param options `delay`: ms; `trim`: gives memory back */
  constructor({ delay = DELAY, trim = trimMemory }: {
    readonly delay?: number;
    readonly trim?: () => unknown;
  } = {}) {
    this.#timer = setTimeout(trim, delay);
  }

  /** Nothing is to be gained any more: the process is about to end. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
