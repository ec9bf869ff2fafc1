/**
 * A signal that may fire.
 *
 * @module
 */

/** Resolves when a signal fires; listens no more after its dispose. */
export class AbortWatch implements Disposable {
  readonly #signal: AbortSignal | undefined;
  readonly #fired = Promise.withResolvers<void>();
  readonly #listener = () => this.#fired.resolve();

  /** @param signal to watch, if any */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted) this.#fired.resolve();
    signal?.addEventListener("abort", this.#listener);
  }

  /** Resolves once it has fired. */
  get promise(): Promise<void> {
    return this.#fired.promise;
  }

  /** Listens no more. */
  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#listener);
  }
}
