/**
 * What a run of tests gave.
 *
 * @module
 */
import type { Skip } from "../support/require.ts";

/** How a test ended. */
export type Outcome = "passed" | "failed" | "skipped";

/** Where tests ran. */
export type Place = "host" | "rig";

/** One test. */
export interface TestResult {
  /** Path below the project. */
  readonly file: string;
  readonly name: string;
  /** Line of its `Deno.test` call. */
  readonly line: number;
  readonly outcome: Outcome;
  readonly seconds: number;
  /** What a failed one, and its steps, threw; else empty. */
  readonly why: string;
}

/** A test that was skipped, and why. */
export interface SkippedTest {
  readonly test: TestResult;
  /** `undefined` where nothing said why, which is a failure. */
  readonly reason: string | undefined;
}

/** A part of the suite: one call of a test runner, or one check. */
export interface Part {
  readonly title: string;
  readonly place: Place;
  /** Version of the Deno that ran it. */
  readonly deno: string;
  readonly tests: readonly TestResult[];
  readonly skipped: readonly SkippedTest[];
  /** What went wrong beside failed tests: a crash, a file without tests, a bound that was passed. */
  readonly problems: readonly string[];
}

/** The sums that the last line tells. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Adds parts up; each problem counts as a failure. */
export function totals(parts: readonly Part[]): Totals {
  const count = (outcome: Outcome): number =>
    parts.flatMap((part) => part.tests).filter((test) => test.outcome === outcome).length;
  const problems = parts.flatMap((part) => part.problems).length;
  return { passed: count("passed"), failed: count("failed") + problems, skipped: count("skipped") };
}

/** The sums of a whole run: one in which nothing passed has failed. */
export function verdict(parts: readonly Part[]): Totals {
  const sums = totals(parts);
  return sums.passed === 0 ? { ...sums, failed: sums.failed + 1 } : sums;
}

/** The line that closes a run, in the one form that continuous integration reads. */
export function closingLine(sums: Totals): string {
  const line = `${sums.passed} passed, ${sums.failed} failed`;
  return sums.skipped === 0 ? line : `${line}, ${sums.skipped} skipped`;
}

/**
 * Gives each skipped test the reason printed closest below its `Deno.test` line, before the next
 * test's; else, for tests that a loop or a function registers, the last reason of its file.
 */
export function explainSkips(tests: readonly TestResult[], skips: readonly Skip[]): SkippedTest[] {
  return tests.filter((test) => test.outcome === "skipped").map((test) => {
    const inFile = skips.filter((skip) => skip.file === test.file);
    const next = Math.min(
      ...tests.filter((other) => other.file === test.file && other.line > test.line)
        .map((other) => other.line),
    );
    const own = inFile.find((skip) => skip.line >= test.line && skip.line < next);
    return { test, reason: (own ?? inFile.at(-1))?.reason };
  });
}
