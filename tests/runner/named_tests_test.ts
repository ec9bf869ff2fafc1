import { assertEquals } from "@std/assert";
import { namedTests, rowsOf } from "./named_tests.ts";

Deno.test("rowsOf() reads one row, several, and a range", () => {
  assertEquals(rowsOf("boots (row 3.8)"), ["3.8"]);
  assertEquals(rowsOf("boots (rows 1.6, 4.7)"), ["1.6", "4.7"]);
  assertEquals(rowsOf("boots (rows 1.21-1.23 and 2.7)"), ["1.21", "1.22", "1.23", "2.7"]);
  assertEquals(rowsOf("reads a row of 3.8 things"), []);
});

Deno.test("namedTests() finds names in any quotes, with their line", () => {
  const text = `Deno.test("plain", f);
Deno.test("says \\"A\\" (row 0.12)", f);
for (const n of [1, 2]) Deno.test(\`nproc is \${n} (rows 3.1, 3.2)\`, f);
`;
  const found = namedTests("tests/linux/x_test.ts", text);
  assertEquals(found.map(({ line, rows }) => [line, rows]), [[2, ["0.12"]], [3, ["3.1", "3.2"]]]);
});

Deno.test("namedTests() knows a run's tests by their template", () => {
  const [found] = namedTests("tests/x_test.ts", "t(`nproc is ${n} (row 3.1)`)");
  assertEquals(found?.matches("nproc is 8 (row 3.1)"), true);
  assertEquals(found?.matches("nproc is 8 (row 3.2)"), false);
});

Deno.test("namedTests() calls a test fake by its file's import, unless it asks for a KVM", () => {
  const fake = `import { fakeKvm } from "../support/fake_kvm.ts";\nt("fails (row 0.9)");`;
  const real = `${fake}\nt2("runs", requirement("kvm"));`;
  assertEquals(namedTests("a", fake).map((test) => test.fake), [true]);
  assertEquals(namedTests("a", real).map((test) => test.fake), [false]);
});
