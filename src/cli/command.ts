/**
 * What a command of the program is.
 *
 * @module
 */

import type { Option } from "../config/options.ts";

/** A command, not loaded yet. */
export interface Command {
  /** A sentence for the help. */
  readonly summary: string;
  /** The words that stand behind it, `run` aside: `unpack`; a file where it takes one. */
  readonly operand?: "file" | readonly string[];
  /** Loads what the command needs, and only that: it decides how fast the program starts. */
  readonly load: () => Promise<LoadedCommand>;
}

/** A command with its code. */
export interface LoadedCommand {
  /** Runs it with what stands behind its name; gives the exit status. */
  readonly run: (args: readonly string[]) => Promise<number>;
  /** Rows of its options. */
  readonly options: Readonly<Record<string, Pick<Option<unknown>, "flag" | "value" | "help">>>;
}

/** The program's commands by name, in the order of its help. */
export type Commands = Readonly<Record<string, Command>>;
