/**
 * Reads the report that `deno test --junit-path` writes.
 *
 * @module
 */
import type { Outcome, TestResult } from "./result.ts";

/** The top-level tests of a report; steps are part of their test. */
export function parseJunit(xml: string): TestResult[] {
  return [...xml.matchAll(/<testsuite name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testsuite>)/g)]
    .flatMap(([, file = "", body = ""]) => testsOf(decode(file).replace(/^\.\//, ""), body));
}

function testsOf(file: string, body: string): TestResult[] {
  const tests: (TestResult & { why: string })[] = [];
  const cases = body.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g);
  for (const [, attributes = "", content = ""] of cases) {
    const name = attribute(attributes, "name");
    const why = failureOf(content);
    const whole = tests.find((test) => name.startsWith(`${test.name} > `));
    if (whole !== undefined) {
      whole.why += why;
      continue;
    }
    tests.push({
      file,
      name,
      line: Number(attribute(attributes, "line")),
      outcome: outcomeOf(content),
      seconds: Number(attribute(attributes, "time")),
      why,
    });
  }
  return tests;
}

function outcomeOf(content: string): Outcome {
  if (/^\s*<(failure|error)\b/.test(content)) return "failed";
  return /^\s*<skipped\b/.test(content) ? "skipped" : "passed";
}

function failureOf(content: string): string {
  return decode(content.match(/^\s*<failure\b[^>]*>([\s\S]*?)<\/failure>/)?.[1] ?? "");
}

function attribute(attributes: string, name: string): string {
  return decode(attributes.match(new RegExp(`(?:^| )${name}="([^"]*)"`))?.[1] ?? "");
}

function decode(text: string): string {
  return text.replace(/&(#x?[\da-fA-F]+|\w+);/g, (whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? whole;
  });
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
