/**
 * Which tests decide which row of the capability checklist, and where they ran last:
 * `deno task rows`. A test names its rows at the end of its name: `… (row 3.8)`, `… (rows 1.6, 4.7)`.
 *
 * @module
 */
import { type NamedTest, namedTests } from "./runner/named_tests.ts";
import { readRecord, type RunRecord } from "./runner/record.ts";
import { say } from "./support/progress.ts";
import { testFiles } from "./support/test_files.ts";

const ROOT = new URL("../", import.meta.url);

const tests: NamedTest[] = [];
for (const file of await testFiles()) {
  // What the runner's own tests read are examples.
  if (file.startsWith("tests/runner/")) continue;
  tests.push(...namedTests(file, await Deno.readTextFile(new URL(file, ROOT))));
}
const record = await readRecord();
say(record === undefined ? "No run yet: deno task test" : `Last run: ${record.at}`);

const rows = [...new Set(tests.flatMap((test) => test.rows))].sort(byNumber);
for (const row of rows) {
  say(row);
  for (const test of tests.filter((one) => one.rows.includes(row))) {
    say(`  ${placesOf(test, record)}: ${test.file}:${test.line}: ${test.template}`);
  }
}
say(`${rows.length} rows, ${tests.length} tests that name one`);

/** `host: passed, rig: passed`, each place once with its worst outcome. */
function placesOf(test: NamedTest, last: RunRecord | undefined): string {
  const places = new Map<string, Set<string>>();
  for (const part of last?.parts ?? []) {
    for (const result of part.tests) {
      if (result.file !== test.file || !test.matches(result.name)) continue;
      const place = test.fake ? "fake" : part.place;
      places.set(place, (places.get(place) ?? new Set()).add(result.outcome));
    }
  }
  if (places.size === 0) return "not run";
  return [...places].map(([place, outcomes]) => `${place}: ${worst(outcomes)}`).join(", ");
}

function worst(outcomes: ReadonlySet<string>): string {
  return ["failed", "skipped", "passed"].find((outcome) => outcomes.has(outcome)) ?? "not run";
}

function byNumber(a: string, b: string): number {
  const [chapterA = 0, rowA = 0] = a.split(".").map(Number);
  const [chapterB = 0, rowB = 0] = b.split(".").map(Number);
  return chapterA - chapterB || rowA - rowB;
}
