/** What is made from the schema: each file is what the table says now. `UPDATE_GOLDEN=1` writes the golden ones anew. */

import { assert, assertEquals } from "@std/assert";
import { checkDescription } from "../../src/config/check.ts";
import { KEYS } from "../../src/config/schema.ts";
import { jsonSchema, keyHelp, keyReference } from "../../src/config/schema_output.ts";
import { parseToml } from "../../src/config/toml.ts";
import { requirement } from "../support/require.ts";

const GOLDEN = new URL("../golden/config/schema.json", import.meta.url);
const README = new URL("../../README.md", import.meta.url);

Deno.test("jsonSchema() is the golden one", requirement("ffi"), () => {
  const text = `${JSON.stringify(jsonSchema(), null, 2)}\n`;
  if (Deno.env.get("UPDATE_GOLDEN") === "1") Deno.writeTextFileSync(GOLDEN, text);
  assertEquals(text, Deno.readTextFileSync(GOLDEN));
});

Deno.test("README's reference of keys is the schema's", requirement("ffi"), () => {
  const readme = Deno.readTextFileSync(README);
  assert(readme.includes(keyReference()), "README.md: paste keyReference() anew");
});

Deno.test(
  "README's machine is one that check takes, and has every table",
  requirement("ffi"),
  () => {
    const readme = Deno.readTextFileSync(README);
    const [, toml = ""] = /\n## One file\n[^]*?```toml\n([^]*?)```/.exec(readme) ?? [];
    const { root } = parseToml(toml, "README.md");
    assertEquals(checkDescription(root).mistakes, []);
    const tables = new Set(KEYS.map(({ path }) => path.split(/\[|\./)[0]));
    assertEquals(new Set(Object.keys(root)), tables);
  },
);

Deno.test("keyHelp() has a row for each key", () => {
  assertEquals(keyHelp().map(({ left }) => left.trim()), KEYS.map(({ path }) => path));
  for (const { right } of keyHelp()) assert(right.includes("Allowed: "), right);
});
