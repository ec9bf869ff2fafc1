/**
 * Limits how often something is said.
 *
 * @module
 */

/** Lets through a burst, then a few a second, and counts what it held back. */
export class RateLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #last = 0;
  /** How many were held back since the last that went through. */
  suppressed = 0;

  /**
   * @param burst how many go through at once
   * @param perSecond how many a second go through after that
   */
  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
  }

  /**
   * Whether one more goes through.
   *
   * @param now ms on any clock that only goes forward
   */
  allows(now: number = performance.now()): boolean {
    this.#tokens = Math.min(
      this.#burst,
      this.#tokens + (now - this.#last) / 1000 * this.#perSecond,
    );
    this.#last = now;
    if (this.#tokens < 1) {
      this.suppressed++;
      return false;
    }
    this.#tokens--;
    this.suppressed = 0;
    return true;
  }
}
