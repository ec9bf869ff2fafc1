/** README's threat table names tests that are there. */

import { assert } from "@std/assert";

const ROOT = new URL("../", import.meta.url);
const README = await Deno.readTextFile(new URL("README.md", ROOT));
const [, SECTION = ""] = README.split("\n## Threat table\n");
const ROWS = (SECTION.split("\n## ")[0] ?? "").split("\n")
  .filter((line) => line.startsWith("|")).slice(2);

Deno.test("README's threat table has rows", () => {
  assert(ROWS.length >= 15, `${ROWS.length} rows`);
});

for (const row of ROWS) {
  const [, who, may, mayNot, heldBy = ""] = row.split("|").map((cell) => cell.trim());
  Deno.test(`README's threat table: what holds "${who} may not ${mayNot}" is there`, async () => {
    assert(who && may && mayNot);
    const named = [...heldBy.matchAll(/`([^`]+)`: "([^"]+)"/g)];
    assert(named.length > 0, row);
    for (const [, file, name = ""] of named) {
      const text = await Deno.readTextFile(new URL(`tests/${file}_test.ts`, ROOT));
      assert(text.includes(name), `tests/${file}_test.ts has no test called "${name}"`);
    }
  });
}
