/**
 * A command line as text, split into its words as a shell would.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";

/** A word's pieces: in single quotes, in double quotes, behind a backslash, or plain. */
const PIECE = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/sy;

/**
 * Splits at white space; quotes and backslashes hold words together. Nothing is expanded.
 *
 * @throws ConfigError where a quotation mark has no partner
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let at = 0;
  while ((at = skipSpace(text, at)) < text.length) {
    let word = "";
    while (at < text.length && !/\s/.test(text[at] ?? "")) {
      PIECE.lastIndex = at;
      const found = PIECE.exec(text);
      if (found === null) {
        throw new ConfigError(text.slice(at, at + 20), "A quotation mark has no partner");
      }
      const [, single, double, escaped, plain] = found;
      word += single ?? double?.replace(/\\(["\\])/g, "$1") ?? escaped ?? plain ?? "";
      at = PIECE.lastIndex;
    }
    words.push(word);
  }
  return words;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text[at] ?? "")) at++;
  return at;
}
