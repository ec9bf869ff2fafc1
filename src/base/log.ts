/**
 * What Vireo says by itself, as entries for whoever keeps them.
 *
 * @module
 */

/** How much an entry matters: `verbose` is for those who look for a fault. */
export type EntryLevel = "error" | "warn" | "info" | "verbose";

/** The levels, each including those before it where a least one is asked for. */
export const ENTRY_LEVELS: readonly EntryLevel[] = ["error", "warn", "info", "verbose"];

/** Something that happened. */
export interface LogEntry {
  /** How much it matters. */
  readonly level: EntryLevel;
  /** Where: `machine`, or a device's id. */
  readonly source: string;
  /** A sentence for a person. */
  readonly message: string;
  /** The same for a program: `{ reason: "powered-off", vcpu: 0 }`; empty where the sentence says it all. */
  readonly data: Readonly<Record<string, string | number | boolean>>;
}

/** Who takes the entries. */
export interface Logger {
  /** Takes one. It is called in the middle of things, so it does not throw, and calls nothing of the machine's. */
  log(entry: LogEntry): void;
}
