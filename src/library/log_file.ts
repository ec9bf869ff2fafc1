/**
 * The file that a machine's description names for what Vireo has to say.
 *
 * @module
 */

import { O_APPEND, O_CREAT, O_WRONLY } from "../abi/linux.ts";
import { ConfigError, errorText } from "../base/errors.ts";
import { type LogEntry, logLine } from "../base/log.ts";
import type { Description } from "../config/description.ts";
import { Fd } from "../host/fd.ts";
import { write } from "../host/file.ts";
import { check } from "../host/libc.ts";

/** `log.file` of a machine, open: a line with time and name is added to it for each entry. */
export class LogFile implements Disposable {
  readonly #name: string;
  readonly #file: Fd;

  private constructor(name: string, file: Fd) {
    this.#name = name;
    this.#file = file;
  }

  /**
   * Opens it, and makes it where it is not there.
   *
   * @returns undefined where the description names none
   * @throws ConfigError of `log.file` where it cannot be written
   */
  static of({ name, log }: Pick<Description, "name" | "log">): LogFile | undefined {
    if (log.file === undefined) return undefined;
    try {
      // bits: flags of open
      return new LogFile(name, Fd.open(log.file, O_WRONLY | O_APPEND | O_CREAT, 0o644));
    } catch (error) {
      throw new ConfigError("log.file", errorText(error), { cause: error });
    }
  }

  /**
   * Adds a line.
   *
   * @returns undefined, or why the file does not take it
   */
  add(entry: LogEntry): string | undefined {
    try {
      const line = `${new Date().toISOString()} ${logLine(this.#name, entry)}\n`;
      const bytes = new TextEncoder().encode(line);
      check("write", write(this.#file.number, bytes), "Cannot write to log.file");
      return undefined;
    } catch (error) {
      return errorText(error);
    }
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
