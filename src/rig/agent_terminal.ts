/**
 * A terminal in L1 for one command.
 *
 * @module
 */

import { shellQuote } from "../base/shell_quote.ts";
import type { TerminalSize } from "../host/tty.ts";

/**
 * A terminal for a run: script(1) makes the pseudoterminal and relays it over pipes. What script starts first writes down
 * which terminal it got and its process id, which is where sizes and signals go.
 */
export class Terminal {
  readonly #note: string;
  readonly #size: TerminalSize;

  constructor(id: number, size: TerminalSize) {
    this.#note = `/run/terminal.${id}`;
    this.#size = size;
  }

  wrap(command: readonly string[]): string[] {
    const { columns, rows } = this.#size;
    // A terminal that tells no size has 0 × 0, which stty refuses.
    const size = columns > 0 && rows > 0 ? `stty cols ${columns} rows ${rows}; ` : "";
    const inner = `${size}echo "$$ $(tty)" >${this.#note}; exec ` +
      command.map(shellQuote).join(" ");
    return ["script", "-q", "-e", "-E", "always", "-c", inner, "/dev/null"];
  }

  /** Process id of the command, undefined as long as it has not started. */
  pid(): number | undefined {
    const pid = parseInt(this.#read()[0] ?? "");
    return Number.isNaN(pid) ? undefined : pid;
  }

  resize(size: TerminalSize): void {
    const path = this.#read()[1];
    if (path === undefined) return;
    const args = ["-F", path, "cols", `${size.columns}`, "rows", `${size.rows}`];
    void new Deno.Command("stty", { args, stdout: "null", stderr: "null" }).output();
  }

  forget(): void {
    try {
      Deno.removeSync(this.#note);
    } catch {
      // The command never came to writing it.
    }
  }

  #read(): string[] {
    try {
      return Deno.readTextFileSync(this.#note).trim().split(" ");
    } catch {
      return [];
    }
  }
}
