import { assertEquals } from "@std/assert";
import { failureLines } from "./report.ts";
import { judge } from "./suite.ts";
import { closingLine, type Part, totals, verdict } from "./result.ts";

const HOST = { place: "host", deno: "2.9.6" } as const;
const FINE = { code: 0, problem: undefined };

function report(cases: string): string {
  return `<testsuites><testsuite name="./tests/a_test.ts">${cases}</testsuite></testsuites>`;
}

const PASSED = `<testcase name="one" line="3" time="0.1"></testcase>`;
const FAILED = `<testcase name="two" line="9" time="0.1"><failure>no</failure></testcase>`;
const SKIPPED = `<testcase name="three" line="20" time="0"><skipped/></testcase>`;

function judged(ended: Parameters<typeof judge>[2], xml: string | undefined): Part {
  return judge(HOST, { title: "unit", files: ["tests/a_test.ts"] }, ended, xml, []);
}

Deno.test("judge() finds nothing wrong with a run that passed", () => {
  const part = judged(FINE, report(PASSED));
  assertEquals(part.problems, []);
  assertEquals(totals([part]), { passed: 1, failed: 0, skipped: 0 });
});

Deno.test("judge() counts a failed test once", () => {
  const part = judged({ code: 1, problem: undefined }, report(PASSED + FAILED));
  assertEquals(totals([part]), { passed: 1, failed: 1, skipped: 0 });
});

Deno.test("judge() fails a run that crashed before its report", () => {
  const part = judged({ code: 139, problem: "ended by SIGSEGV" }, undefined);
  assertEquals(part.problems, ["deno test: ended by SIGSEGV"]);
});

Deno.test("judge() fails a run without a report", () => {
  const part = judged({ code: 1, problem: undefined }, undefined);
  assertEquals(part.problems, ["deno test ended with status 1 and no report"]);
});

Deno.test("judge() fails a run that ended badly though no test failed", () => {
  const part = judged({ code: 1, problem: undefined }, report(PASSED));
  assertEquals(part.problems, ["deno test ended with status 1, though no test failed"]);
});

Deno.test("judge() fails a file that held no test", () => {
  const part = judge(
    HOST,
    { title: "unit", files: ["tests/a_test.ts", "tests/empty_test.ts"] },
    FINE,
    report(PASSED),
    [],
  );
  assertEquals(part.problems, ["tests/empty_test.ts: no test of it is in the report"]);
});

Deno.test("judge() fails a skip without a reason", () => {
  const part = judged(FINE, report(PASSED + SKIPPED));
  assertEquals(part.problems, ['tests/a_test.ts: "three" is ignored without a reason']);
});

Deno.test("judge() gives a skip the reason printed at its place", () => {
  const part = judge(
    HOST,
    { title: "unit", files: ["tests/a_test.ts"] },
    FINE,
    report(PASSED + SKIPPED),
    [
      { file: "tests/a_test.ts", line: 3, reason: "no gcc" },
      { file: "tests/a_test.ts", line: 21, reason: "no KVM" },
      { file: "tests/b_test.ts", line: 20, reason: "no tmux" },
    ],
  );
  assertEquals(part.problems, []);
  assertEquals(part.skipped.map((one) => one.reason), ["no KVM"]);
});

Deno.test("judge() gives a test that a loop registers the reason of its file", () => {
  const part = judge(
    HOST,
    { title: "unit", files: ["tests/a_test.ts"] },
    FINE,
    report(PASSED + SKIPPED),
    [{ file: "tests/a_test.ts", line: 1, reason: "no KVM" }],
  );
  assertEquals(part.skipped.map((one) => one.reason), ["no KVM"]);
});

Deno.test("verdict() fails a suite in which nothing passed", () => {
  const part = judge(HOST, { title: "unit", files: [] }, FINE, report(""), []);
  assertEquals(verdict([part]), { passed: 0, failed: 1, skipped: 0 });
});

Deno.test("failureLines() tells below each failed test what it threw", () => {
  const part = judged(
    { code: 1, problem: undefined },
    report(FAILED.replace("no<", "Error: a\n\n  b\n".concat("c\n".repeat(50), "<"))),
  );
  assertEquals(failureLines(part).slice(0, 4), [
    "FAILED: unit (host, Deno 2.9.6): tests/a_test.ts:9: two",
    "    Error: a",
    "      b",
    "    c",
  ]);
  assertEquals(failureLines(part).length, 13);
});

Deno.test("closingLine() leaves out skips where there are none", () => {
  assertEquals(closingLine({ passed: 12, failed: 0, skipped: 0 }), "12 passed, 0 failed");
  assertEquals(
    closingLine({ passed: 12, failed: 1, skipped: 3 }),
    "12 passed, 1 failed, 3 skipped",
  );
});
