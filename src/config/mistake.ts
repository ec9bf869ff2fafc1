/**
 * What is wrong with a description, for people and for programs.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";

/** One mistake. */
export interface Mistake {
  /** `memory.size`, `disk[0].path`. */
  readonly key: string;
  /** The file's name and line, or the option, where it was given. */
  readonly place?: string;
  /** The line alone, where it was given in a file. */
  readonly line?: number;
  /** What was given, as JSON would write it. */
  readonly value?: string;
  /** What is wrong with it. */
  readonly problem: string;
  /** What is allowed. */
  readonly allowed: string;
  /** What may have been meant. */
  readonly suggestion?: string;
}

/** One error for all mistakes. */
export function mistakesError(mistakes: readonly Mistake[]): ConfigError {
  const [first, ...more] = mistakes.map(mistakeText);
  const key = mistakes[0]?.key ?? "";
  const [path, ...rest] = (first ?? "").split(`${key}: `);
  return new ConfigError(`${path}${key}`, [rest.join(`${key}: `), ...more].join("\n"));
}

/** A mistake in a line: `vm.toml:5: memory.sise: There is no such key; did you mean size?`. */
export function mistakeText(mistake: Mistake): string {
  const { place, key, value, problem, allowed, suggestion } = mistake;
  const meant = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  const shown = value === undefined ? "" : ` (it is ${value})`;
  return `${place === undefined ? "" : `${place}: `}${key}: ${problem}${shown}; ` +
    `allowed: ${allowed}${meant}`;
}
