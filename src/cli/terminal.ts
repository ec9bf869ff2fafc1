/**
 * The user's terminal: raw while a guest's shell is on it, as it was afterwards.
 *
 * @module
 */

import { onSignal } from "../host/signals.ts";
import { disableOutputProcessing, type TerminalSize } from "../host/tty.ts";

const STDIN = 0;

/** What a guest is told where the output is no terminal. */
const NO_TERMINAL: TerminalSize = { columns: 80, rows: 24 };

/**
 * The terminal on stdin and stdout, where they are one. Deno itself restores its mode when the process exits in whatever way
 * runs code; dispose does it earlier, so that what is printed last looks right.
 */
export class Terminal implements Disposable {
  /** Whether keys come from a terminal: then Ctrl-A is ours. */
  readonly hasKeys: boolean = Deno.stdin.isTerminal();

  /**
   * Takes the terminal: every key goes to the guest from now on, Ctrl-C too.
   *
   * @param options `signals`: Ctrl-C and its like still end us, for a guest behind which no escape key listens
   */
  constructor({ signals = false }: { readonly signals?: boolean } = {}) {
    if (!this.hasKeys) return;
    Deno.stdin.setRaw(true, { cbreak: signals });
    // The guest's own terminal has made of newlines what its programs want.
    disableOutputProcessing(STDIN);
  }

  /** Its size now; 80 × 24 where there is none. */
  get size(): TerminalSize {
    try {
      return Deno.consoleSize();
    } catch {
      return NO_TERMINAL;
    }
  }

  /** Calls back with the new size whenever it changes, until what it gives is disposed. */
  watchSize(changed: (size: TerminalSize) => void): Disposable {
    return onSignal("SIGWINCH", () => changed(this.size));
  }

  /** Gives the terminal back. */
  [Symbol.dispose](): void {
    if (!this.hasKeys) return;
    try {
      Deno.stdin.setRaw(false);
    } catch {
      // The terminal is gone, which is what SIGHUP means.
    }
  }
}
