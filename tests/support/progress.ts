/**
 * What tests and their runner print.
 *
 * @module
 */

/** Prints a line on stdout. */
export function say(line: string): void {
  // deno-lint-ignore no-console -- printing is what this function is for
  console.log(line);
}

/** Prints a progress line of a long test on stderr, shown while the test runs. */
export function progress(what: string): void {
  // deno-lint-ignore no-console -- printing is what this function is for
  console.error(`… ${what}`);
}

/** A duration as a person says it: `850 ms`, `12.3 s`, `4 min 5 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}
