/**
 * QEMU's monitor: what the processors of a hung L1 are doing.
 *
 * @module
 */

import { decodeText, encodeText } from "./frame.ts";

/** Milliseconds in which a QEMU that still runs has answered. */
const ANSWER_LIMIT = 2_000;
/** Lines of the answer that say where a processor is, whether it waits, and which interrupts wait for it. */
const TELLING = /^(CPU#|dumping local APIC)|HLT=|^\s*(ISR|IRR)\b/;

/** The last answer has no other's words in it. */
const QUESTIONS = "info registers\ninfo lapic\ninfo status\n";

/** A connection to QEMU's monitor. */
export class Monitor implements Disposable {
  readonly #connection: Deno.UnixConn;

  /** @param connection made when QEMU listened; its name may be gone since */
  constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  /** Where each processor is: the lines that matter, or why there are none. L1 has no KASLR, so its addresses are its vmlinux's. */
  async registers(): Promise<string> {
    const limit = setTimeout(() => this[Symbol.dispose](), ANSWER_LIMIT);
    let answer = "";
    try {
      await this.#connection.write(encodeText(QUESTIONS));
      const buffer = new Uint8Array(65536);
      while (!answer.includes("VM status:")) {
        const count = await this.#connection.read(buffer);
        if (count === null) break;
        answer += decodeText(buffer.subarray(0, count));
      }
    } catch {
      // Too late, or QEMU is gone: what came before still counts.
    } finally {
      clearTimeout(limit);
    }
    const lines = answer.split(/\r?\n/).filter((line) => TELLING.test(line));
    return lines.length > 0 ? lines.join("\n") : "QEMU's monitor does not answer";
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // QEMU, or the limit, was first.
    }
  }
}
