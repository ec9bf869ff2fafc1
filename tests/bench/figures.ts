/**
 * What benches print: a table, or JSON for the program that runs them all. A target is told beside its figure and decides nothing:
 * no test may pass or fail by the clock.
 *
 * @module
 */

/** One measured number. */
export interface Figure {
  /** What was measured: `exit, port, 1 byte: added`. */
  readonly what: string;
  /** With its unit: `235 ns`. */
  readonly value: string;
  /** What it is meant to be: `≤ 300 ns`. */
  readonly target?: string;
}

/** Argument that asks a bench for JSON. */
export const JSON_OPTION = "--json";

/** Prints a bench's figures in the way that its arguments ask for. */
export function printFigures(figures: readonly Figure[]): void {
  const json = Deno.args.includes(JSON_OPTION);
  print(json ? JSON.stringify(figures) : figureTable(figures));
}

/** Figures as a table with aligned columns. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, value, target }) => [what, value, target ?? ""]);
  const all = [["figure", "measured", "target"], ...rows];
  const widths = [0, 1].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd();
  return all.map(line).join("\n");
}

/** The value in the middle: neighbours of this machine pull at means. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function print(text: string): void {
  // deno-lint-ignore no-console -- a program's output
  console.log(text);
}
