/**
 * Something to do later. The first `setTimeout` of a process has Deno load Node's timers, which takes a processor 10 ms, just when
 * a guest starts; a wait on a word that nobody notifies costs 0.05 ms.
 *
 * @module
 */

/** Work that is done after a while, unless this is disposed before. It does not keep Deno from ending. */
export class Delay implements Disposable {
  readonly #word = new Int32Array(new SharedArrayBuffer(4));
  #over = false;

  /**
   * Begins to wait.
   *
   * @param milliseconds to wait, at least; a millisecond more is usual
   * @param work done then
   */
  constructor(milliseconds: number, work: () => void) {
    const { value } = Atomics.waitAsync(this.#word, 0, 0, Math.max(1, milliseconds));
    void Promise.resolve(value).then(() => {
      if (!this.#over) work();
    });
  }

  /** It will not be done any more. */
  [Symbol.dispose](): void {
    this.#over = true;
    Atomics.notify(this.#word, 0);
  }
}
