/**
 * TOML's numbers and dates.
 *
 * @module
 */

/** A date or time, kept as it is written. */
export class TomlDate {
  /** As written. */
  readonly text: string;

  /** @param text as written */
  constructor(text: string) {
    this.text = text;
  }
}

const DECIMAL = /^[+-]?(?:0|[1-9](?:_?\d)*)$/;
const RADIX = /^0(?:x[\dA-Fa-f](?:_?[\dA-Fa-f])*|o[0-7](?:_?[0-7])*|b[01](?:_?[01])*)$/;
const FLOAT =
  /^[+-]?(?:0|[1-9](?:_?\d)*)(?:\.\d(?:_?\d)*(?:[eE][+-]?\d(?:_?\d)*)?|[eE][+-]?\d(?:_?\d)*)$/;
const SPECIAL = /^([+-]?)(inf|nan)$/;
const DATE =
  /^(?:\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)?)?|\d\d:\d\d:\d\d(?:\.\d+)?)$/;

/**
 * Reads a word that is no text: an integer (a number where it is one exactly, a bigint else), a float, a date or time.
 *
 * @returns undefined where it is none of these
 */
export function readDateOrNumber(word: string): number | bigint | TomlDate | undefined {
  if (DECIMAL.test(word) || RADIX.test(word)) return integer(word.replaceAll("_", ""));
  if (FLOAT.test(word)) return Number(word.replaceAll("_", ""));
  if (DATE.test(word)) return new TomlDate(word);
  const [, sign, name] = SPECIAL.exec(word) ?? [];
  if (name === undefined) return undefined;
  const value = name === "inf" ? Infinity : NaN;
  return sign === "-" ? -value : value;
}

function integer(digits: string): number | bigint {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits.replace(/^\+/, ""));
}
