/**
 * Checks one value against its row of the schema.
 *
 * @module
 */

import { nearest } from "../base/nearest.ts";
import type { KeyRow } from "./schema.ts";
import { TomlDate } from "./toml_scalar.ts";
import { readSize, sizeText } from "./units.ts";

/** What is wrong with a value. */
export interface Problem {
  /** In a sentence without its end. */
  readonly problem: string;
  /** What would be right. */
  readonly allowed: string;
  /** What may have been meant. */
  readonly suggestion?: string;
}

/** A value that is right, as the description holds it, or what is wrong with it. */
export type Checked = { readonly value: unknown } | Problem;

/** Longest path that Linux takes. */
const PATH_MAX = 4095;

/** Checks a value. */
export function checkValue(row: KeyRow, given: unknown): Checked {
  switch (row.type) {
    case "string":
      return typeof given === "string" ? checkText(row, given) : wrongType(row, given);
    case "path":
      return typeof given === "string" ? checkPath(row, given) : wrongType(row, given);
    case "boolean":
      return typeof given === "boolean" ? { value: given } : wrongType(row, given);
    case "integer":
      return isInteger(given) ? checkNumber(row, given) : wrongType(row, given);
    case "size":
      return checkSize(row, given);
    case "choice":
      return typeof given === "string" ? checkChoice(row, given) : wrongType(row, given);
    case "choices":
      return checkChoices(row, given);
    default:
      throw row.type satisfies never;
  }
}

/** What a row allows, as a person is told. */
export function allowedBy(row: KeyRow): string {
  const { least = 0, most = 0, multiple } = row;
  switch (row.type) {
    case "string": {
      const what = row.allowed ?? "a text";
      return row.most === undefined ? what : `${what}, at most ${row.most} bytes`;
    }
    case "path":
      return [...(row.choices ?? []).map((choice) => `"${choice}"`), "a path"].join(", ");
    case "boolean":
      return "true or false";
    case "integer":
      return `${least} to ${most}`;
    case "size": {
      const whole = multiple === undefined ? "" : `, a multiple of ${sizeText(multiple)}`;
      return `${quoted(least)} to ${quoted(most)}${whole}`;
    }
    case "choice":
      return (row.choices ?? []).map((choice) => `"${choice}"`).join(", ");
    case "choices":
      return `a list of ${row.allowed ?? (row.choices ?? []).join(", ")}`;
    default:
      throw row.type satisfies never;
  }
}

/** A size as a file says it: bytes without a unit are a number there. */
function quoted(bytes: number): string {
  const text = sizeText(bytes);
  return text.endsWith("bytes") ? text : `"${text}"`;
}

function isInteger(given: unknown): given is number | bigint {
  return typeof given === "bigint" || Number.isInteger(given);
}

function checkText(row: KeyRow, given: string): Checked {
  const long = row.most !== undefined && new TextEncoder().encode(given).length > row.most;
  if (long) return problem(row, `It is longer than ${row.most} bytes`);
  if (row.pattern?.test(given) === false) return problem(row, "It holds what it may not");
  return { value: given };
}

function checkPath(row: KeyRow, given: string): Checked {
  if (given === "") return problem(row, "The path is empty");
  if (given.includes("\0")) return problem(row, "The path holds NUL");
  if (new TextEncoder().encode(given).length > PATH_MAX) {
    return problem(row, `The path is longer than ${PATH_MAX} bytes`);
  }
  return { value: given };
}

function checkNumber(row: KeyRow, given: number | bigint): Checked {
  const { least = 0, most = Number.MAX_SAFE_INTEGER } = row;
  if (given < least) return problem(row, "It is too small");
  if (given > most) return problem(row, "It is too large");
  return { value: Number(given) };
}

function checkSize(row: KeyRow, given: unknown): Checked {
  if (typeof given !== "string") {
    if (!isInteger(given)) return wrongType(row, given);
    const checked = checkBytes(row, given);
    if ("value" in checked || given <= 0 || given >= MEBIBYTE) return checked;
    return { ...checked, problem: `${checked.problem}: a number without a unit is bytes` };
  }
  const bytes = readSize(given);
  return bytes === undefined
    ? problem(row, "It is no size: a whole number and K, M, G or T")
    : checkBytes(row, bytes);
}

const MEBIBYTE = 2 ** 20;

function checkBytes(row: KeyRow, given: number | bigint): Checked {
  const checked = checkNumber(row, given);
  const { multiple = 1 } = row;
  if ("value" in checked && Number(given) % multiple !== 0) {
    return problem(row, `It is no multiple of ${sizeText(multiple)}`);
  }
  return checked;
}

function checkChoice(row: KeyRow, given: string): Checked {
  const { choices = [] } = row;
  return choices.includes(given)
    ? { value: given }
    : { ...problem(row, "There is no such choice"), ...suggest(given, choices) };
}

function checkChoices(row: KeyRow, given: unknown): Checked {
  if (!Array.isArray(given)) return wrongType(row, given);
  const { choices = [] } = row;
  for (const one of given) {
    if (typeof one !== "string") return wrongType(row, given);
    if (choices.includes(one)) continue;
    return { ...problem(row, `There is no "${one}"`), ...suggest(one, choices) };
  }
  return { value: Object.freeze([...new Set(given)]) };
}

function suggest(given: string, choices: readonly string[]): { readonly suggestion?: string } {
  const suggestion = nearest(given, choices);
  return suggestion === undefined ? {} : { suggestion };
}

function problem(row: KeyRow, text: string): Problem {
  return { problem: text, allowed: allowedBy(row) };
}

const TYPE_NAMES: Record<KeyRow["type"], string> = {
  string: "a text",
  path: "a text",
  integer: "a whole number",
  size: 'a size such as "512M"',
  boolean: "true or false",
  choice: "a text",
  choices: "a list of texts",
};

function wrongType(row: KeyRow, given: unknown): Problem {
  return problem(row, `It is ${kindOf(given)} and should be ${TYPE_NAMES[row.type]}`);
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value instanceof TomlDate) return "a date or time";
  switch (typeof value) {
    case "string":
      return "a text";
    case "bigint":
      return "a whole number";
    case "number":
      return Number.isInteger(value) ? "a whole number" : "no whole number";
    case "boolean":
      return "true or false";
    case "object":
      return value === null ? "null" : "a table";
    default:
      return `a ${typeof value}`;
  }
}
