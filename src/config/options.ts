/**
 * Command-line options as a table: what is parsed and what the help shows are the same rows.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";

/** One option. */
export interface Option<Value> {
  /** With its dashes: `--cpus`. */
  readonly flag: string;
  /** What its value is called in the help; a switch has none. */
  readonly value?: string;
  /** A sentence or two. */
  readonly help: string;
  /** What it is where it is not given. */
  readonly initial: Value;
  /**
   * Reads the text behind it.
   *
   * @param text the value; empty for a switch
   * @param before what it was so far: options that may come more than once add to it
   */
  readonly parse: (text: string, before: Value) => Value;
}

/** An option without a value: false, or true where it is given. */
export function switchOption(flag: string, help: string): Option<boolean> {
  return { flag, help, initial: false, parse: () => true };
}

/** The option that every command has. */
export const HELP: Option<boolean> = switchOption("--help", "Shows this.");

/** A row for each member of what is parsed. */
export type OptionTable<Parsed> = { readonly [name in keyof Parsed]: Option<Parsed[name]> };

/**
 * Reads options, `--flag VALUE` or `--flag=VALUE`; of one that is given twice the later counts.
 *
 * @throws ConfigError that names the option
 */
export function parseOptions<Parsed extends object>(
  table: OptionTable<Parsed>,
  args: readonly string[],
): Parsed {
  const names = Object.keys(table) as (keyof Parsed)[];
  const parsed = Object.fromEntries(names.map((name) => [name, table[name].initial])) as Parsed;
  for (let at = 0; at < args.length; at++) {
    const [flag, attached] = splitArgument(args[at] ?? "");
    const name = names.find((name) => table[name].flag === flag);
    if (name === undefined) throw unknownOption(flag, names.map((name) => table[name].flag));
    const option = table[name];
    const text = option.value === undefined ? noValue(flag, attached) : attached ?? args[++at];
    if (text === undefined) throw new ConfigError(flag, `${option.value} is missing behind it`);
    parsed[name] = option.parse(text, parsed[name]);
  }
  return parsed;
}

/** The help's lines for a table, flags left and sentences right, at most 100 columns wide. */
export function describeOptions<Parsed extends object>(table: OptionTable<Parsed>): string {
  const names = Object.keys(table) as (keyof Parsed)[];
  return describeRows(names.map((name) => {
    const { flag, value, help } = table[name];
    return { left: `  ${flag}${value === undefined ? "" : ` ${value}`}`, right: help };
  }));
}

/** Two columns of text, the right one wrapped at 100. */
export function describeRows(
  rows: readonly { readonly left: string; readonly right: string }[],
): string {
  const width = Math.max(...rows.map(({ left }) => left.length)) + 2;
  return rows.map(({ left, right }) => {
    const [first = "", ...more] = wrap(right, 100 - width);
    return [left.padEnd(width) + first, ...more.map((line) => " ".repeat(width) + line)]
      .map((line) => `${line.trimEnd()}\n`).join("");
  }).join("");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function splitArgument(argument: string): [flag: string, attached: string | undefined] {
  const equals = argument.startsWith("--") ? argument.indexOf("=") : -1;
  if (equals < 0) return [argument, undefined];
  return [argument.slice(0, equals), argument.slice(equals + 1)];
}

function noValue(flag: string, attached: string | undefined): string {
  if (attached === undefined) return "";
  throw new ConfigError(flag, `It takes no value; leave "=${attached}" out`);
}

function unknownOption(flag: string, known: readonly string[]): ConfigError {
  const near = nearest(flag, known);
  return new ConfigError(
    flag,
    near === undefined
      ? "There is no such option; --help lists them"
      : `There is no such option; did you mean ${near}?`,
  );
}
