/**
 * Sizes and times as people write them.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";

const SIZE_UNITS: { readonly [unit: string]: number } = {
  "": 2 ** 20,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/**
 * Reads a size: a whole number and K, M, G or T (powers of 1024; `GiB` and `GB` mean the same as `G`), MiB where no unit is
 * given.
 *
 * @param path where the text was given, for errors
 * @returns bytes
 */
export function parseSize(text: string, path: string): number {
  const bytes = readSize(text);
  if (bytes !== undefined) return bytes;
  throw new ConfigError(path, `"${text}" is no size; write a whole number and a unit, 512M or 2G`);
}

/** The same, undefined where the text is no size. */
export function readSize(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d+)(?:([KMGT])(?:i?B)?)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (SIZE_UNITS[unit.toUpperCase()] ?? NaN);
  return digits !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined;
}

const TIME_UNITS: { readonly [unit: string]: number } = {
  "": 1000,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** The longest time that a timer of Deno can wait, in ms: 24 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Reads a time: a number and ms, s, m or h, seconds where no unit is given; more than 0, at most 24 days.
 *
 * @param path where the text was given, for errors
 * @returns milliseconds
 */
export function parseDuration(text: string, path: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const time = Math.round(Number(digits) * (TIME_UNITS[unit] ?? NaN));
  if (time > 0 && time <= LONGEST) return time;
  throw new ConfigError(
    path,
    `"${text}" is no time above 0 and up to 24 days; write a number and a unit, 30s or 500ms`,
  );
}

/** A size as {@linkcode parseSize} reads it: in the largest unit that gives a whole number, a number of bytes where none does. */
export function sizeText(bytes: number): string {
  const units = ["T", "G", "M", "K"].map((unit) => ({ unit, size: SIZE_UNITS[unit] ?? 1 }));
  if (bytes === 0) return "0";
  const fit = units.find(({ size }) => bytes >= size && bytes % size === 0);
  return fit === undefined ? `${bytes} bytes` : `${bytes / fit.size}${fit.unit}`;
}
