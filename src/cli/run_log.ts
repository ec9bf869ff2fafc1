/**
 * What `vireo run` says by itself: on stderr, or into a file.
 *
 * @module
 */

import { type EntryLevel, isAskedFor, logLine } from "../base/log.ts";
import type { Description, LogLevel } from "../config/description.ts";
import { LogFile } from "../library/log_file.ts";
import { say } from "./say.ts";

/** A machine's log. */
export class RunLog implements Disposable {
  readonly #name: string;
  readonly #level: LogLevel;
  readonly #file: LogFile | undefined;

  /** Opens the file, where there is to be one. */
  constructor(description: Pick<Description, "name" | "log">) {
    this.#name = description.name;
    this.#level = description.log.level;
    this.#file = LogFile.of(description);
  }

  /** Why the run fails. */
  error(text: string): void {
    this.#write("error", text);
  }

  /** What goes wrong and can be gone on from, and whose it is. */
  warn(text: string, source = "machine"): void {
    this.#write("warn", text, source);
  }

  /** What happens. */
  info(text: string): void {
    this.#write("info", text);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }

  #write(level: EntryLevel, message: string, source = "machine"): void {
    const entry = { level, source, message, data: {} };
    if (!isAskedFor(entry, this.#level)) return;
    const line = logLine(this.#name, entry);
    if (this.#file === undefined) return say(line);
    const failure = this.#file.add(entry);
    if (failure !== undefined) say(`${line}\n${this.#name}: ${failure}`);
  }
}
