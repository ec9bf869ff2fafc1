/**
 * What somebody may have meant.
 *
 * @module
 */

/** How many characters may be wrong in what is still taken for a slip. */
const SLIPS = 2;

/** The name most like the given one, where one is like it at all; short names allow fewer slips. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(SLIPS, Math.floor(given.length / 2)) + 1;
  for (const name of known) {
    if (Math.abs(name.length - given.length) >= least) continue;
    const slips = distance(name, given);
    if (slips < least) [best, least] = [name, slips];
  }
  return best;
}

/** Levenshtein's distance: how many characters to change, add or remove. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...b].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
