import { assertEquals } from "@std/assert";
import { parseJunit } from "./junit.ts";
import { requirement } from "../support/require.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="2" errors="0" time="0.010">
    <testsuite name="./tests/a_test.ts" tests="4" disabled="1" errors="0" failures="2">
        <testcase name="one" classname="./tests/a_test.ts" time="0.000" line="3" col="6">
            <skipped/>
        </testcase>
        <testcase name="two &lt;&amp;&quot;x&quot;&gt;&#9;" classname="./tests/b.ts" time="1.250" line="4" col="6">
        </testcase>
        <testcase name="three" classname="./tests/a_test.ts" time="0.003" line="5" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="three &gt; step" classname="./tests/a_test.ts" time="0.001" line="5" col="55">
            <failure message="boom">&lt;skipped/&gt;</failure>
        </testcase>
    </testsuite>
    <testsuite name="./tests/c_test.ts" tests="0" disabled="0" errors="0" failures="0"/>
</testsuites>`;

Deno.test("parseJunit() gives each test with file, line, time and outcome, and no steps", () => {
  const file = "tests/a_test.ts";
  assertEquals(parseJunit(REPORT), [
    { file, name: "one", line: 3, outcome: "skipped", seconds: 0, why: "" },
    { file, name: 'two <&"x">\t', line: 4, outcome: "passed", seconds: 1.25, why: "" },
    {
      file,
      name: "three",
      line: 5,
      outcome: "failed",
      seconds: 0.003,
      why: "1 test step failed.<skipped/>",
    },
  ]);
});

Deno.test("parseJunit() reads what this Deno writes", requirement("ffi"), async () => {
  const folder = await Deno.makeTempDir({ prefix: "vireo-junit-" });
  await Deno.writeTextFile(
    `${folder}/x_test.ts`,
    `Deno.test("good", () => {});
Deno.test("bad <&>", () => { throw new Error("no"); });
Deno.test("none", { ignore: true }, () => {});
Deno.test("steps", async (t) => { await t.step("inner", () => {}); });\n`,
  );
  await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", `--junit-path=${folder}/report.xml`, `${folder}/x_test.ts`],
    stdout: "null",
    stderr: "null",
  }).output();
  const tests = parseJunit(await Deno.readTextFile(`${folder}/report.xml`));
  await Deno.remove(folder, { recursive: true });
  assertEquals(tests.map(({ name, line, outcome }) => [name, line, outcome]), [
    ["good", 1, "passed"],
    ["bad <&>", 2, "failed"],
    ["none", 3, "skipped"],
    ["steps", 4, "passed"],
  ]);
});
