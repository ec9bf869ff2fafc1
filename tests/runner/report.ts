/**
 * What the suite says when it is over.
 *
 * @module
 */
import { say } from "../support/progress.ts";
import { closingLine, type Part, totals, verdict } from "./result.ts";

/**
 * Prints every skip with its reason, every failure, a line for each part, and the closing line.
 *
 * @returns the exit status that goes with it
 */
export function printReport(parts: readonly Part[]): number {
  say("");
  parts.flatMap(skipLines).forEach(say);
  parts.flatMap(failureLines).forEach(say);
  for (const part of parts) say(`${label(part)}: ${closingLine(totals([part]))}`);
  const sums = verdict(parts);
  if (sums.passed === 0) say("FAILED: no test passed");
  say(closingLine(sums));
  return sums.failed === 0 ? 0 : 1;
}

/** A line for each skipped test. */
export function skipLines(part: Part): string[] {
  return part.skipped.map(({ test, reason }) =>
    `skipped: ${label(part)}: ${test.file}: ${test.name}: ${reason ?? "no reason given"}`
  );
}

/** A line for each failed test and each problem; below a test's the beginning of what it threw. */
export function failureLines(part: Part): string[] {
  const failed = part.tests.filter((test) => test.outcome === "failed");
  return [
    ...failed.flatMap((test) => [
      `FAILED: ${label(part)}: ${test.file}:${test.line}: ${test.name}`,
      ...beginning(test.why),
    ]),
    ...part.problems.map((problem) => `FAILED: ${label(part)}: ${problem}`),
  ];
}

/** The first lines of a text that say something, indented and not too long to read. */
function beginning(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "").slice(0, WHY_LINES)
    .map((line) => `    ${line.slice(0, WHY_WIDTH)}`);
}

const WHY_LINES = 12;
const WHY_WIDTH = 200;

function label(part: Part): string {
  return `${part.title} (${part.place}, Deno ${part.deno})`;
}
