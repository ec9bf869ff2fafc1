/**
 * What `vireo run` says by itself: on stderr, or into a file.
 *
 * @module
 */

import { O_APPEND, O_CREAT, O_WRONLY } from "../abi/linux.ts";
import { ConfigError, errorText } from "../base/errors.ts";
import type { Description, LogLevel } from "../config/description.ts";
import { Fd } from "../host/fd.ts";
import { write } from "../host/file.ts";
import { check } from "../host/libc.ts";
import { say } from "./say.ts";

/** Each level includes those before it. */
const LEVELS: readonly LogLevel[] = ["off", "error", "warn", "info", "verbose"];

/** A machine's log. */
export class RunLog implements Disposable {
  readonly #name: string;
  readonly #level: number;
  readonly #file: Fd | undefined;

  /** Opens the file, where there is to be one. */
  constructor({ name, log }: Pick<Description, "name" | "log">) {
    this.#name = name;
    this.#level = LEVELS.indexOf(log.level);
    this.#file = log.file === undefined ? undefined : openLog(log.file);
  }

  /** Why the run fails. */
  error(text: string): void {
    this.#write("error", text);
  }

  /** What goes wrong and can be gone on from. */
  warn(text: string): void {
    this.#write("warn", text);
  }

  /** What happens. */
  info(text: string): void {
    this.#write("info", text);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
  }

  #write(level: LogLevel, text: string): void {
    if (LEVELS.indexOf(level) > this.#level) return;
    const line = `${this.#name}: ${text}`;
    if (this.#file === undefined) return say(line);
    try {
      const text = new TextEncoder().encode(`${new Date().toISOString()} ${line}\n`);
      check("write", write(this.#file.number, text));
    } catch (error) {
      say(`${line}\n${this.#name}: Cannot write to log.file: ${errorText(error)}`);
    }
  }
}

function openLog(path: string): Fd {
  try {
    // bits: flags of open
    return Fd.open(path, O_WRONLY | O_APPEND | O_CREAT, 0o644);
  } catch (error) {
    throw new ConfigError("log.file", errorText(error), { cause: error });
  }
}
