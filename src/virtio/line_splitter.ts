/**
 * Cuts a stream of bytes into lines of text.
 *
 * @module
 */

const NEWLINE = 0x0a;

/** Lines of a guest: bounded, whatever it sends. Bytes that are no UTF-8 become U+FFFD. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #line: Uint8Array<ArrayBuffer>;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #length = 0;

  /**
   * A splitter at the start of a line.
   *
   * @param limit most bytes of a line; what is longer is cut off
   * @param onLine called with each line, without its newline
   */
  constructor(limit: number, onLine: (line: string) => void) {
    this.#line = new Uint8Array(limit);
    this.#onLine = onLine;
  }

  /** Takes the stream's next bytes. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline < 0 ? bytes.length : newline;
      const kept = bytes.subarray(at, Math.min(end, at + this.#line.length - this.#length));
      this.#line.set(kept, this.#length);
      this.#length += kept.length;
      if (newline >= 0) this.#finish();
      at = end + 1;
    }
  }

  /** Forgets the line that has begun. */
  clear(): void {
    this.#length = 0;
  }

  #finish(): void {
    const line = this.#decoder.decode(this.#line.subarray(0, this.#length));
    this.#length = 0;
    this.#onLine(line);
  }
}
