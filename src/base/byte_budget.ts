/**
 * How many bytes may pass in a time.
 *
 * @module
 */

/** At most so many bytes in each period; what one period leaves over is not the next one's. */
export class ByteBudget {
  readonly #most: number;
  readonly #period: number;
  #left = 0;
  #end = -Infinity;

  /**
   * A budget whose first period begins when it is first asked.
   *
   * @param most bytes of a period; Infinity for no limit
   * @param period ms
   */
  constructor(most: number, period: number) {
    this.#most = most;
    this.#period = period;
  }

  /**
   * Bytes that may pass now. A period begins with the first look after the end of the last one, so that any stretch of n periods sees
   * at most n + 1 times the bytes of one.
   *
   * @param now ms on a clock that never goes back
   */
  left(now: number): number {
    if (now >= this.#end) {
      this.#left = this.#most;
      this.#end = now + this.#period;
    }
    return this.#left;
  }

  /** Takes bytes that have passed. */
  take(bytes: number): void {
    this.#left -= bytes;
  }

  /** Milliseconds until there may be more. */
  wait(now: number): number {
    return Math.max(0, this.#end - now);
  }
}
