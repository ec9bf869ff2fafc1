/**
 * Words for a shell.
 *
 * @module
 */

/** A text as one word of a POSIX shell, whatever it holds; NUL, which no word can, is left out. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`).replaceAll("\0", "")}'`;
}
