/**
 * What Vireo says by itself, as entries for whoever keeps them.
 *
 * @module
 */

/** How much an entry matters: `verbose` is for those who look for a fault. */
export type EntryLevel = "error" | "warn" | "info" | "verbose";

/** The levels, each including those before it where a least one is asked for. */
const LEVELS: readonly (EntryLevel | "off")[] = ["off", "error", "warn", "info", "verbose"];

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

/** Whether somebody who asks for `least` is told of an entry. */
export function isAskedFor({ level }: LogEntry, least: EntryLevel | "off"): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(least);
}

/** An entry as a line: the machine's name, the device where it is one's, and the sentence. */
export function logLine(name: string, { source, message }: LogEntry): string {
  return source === "machine" ? `${name}: ${message}` : `${name}: ${source}: ${message}`;
}
