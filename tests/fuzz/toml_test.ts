import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/toml";
import { ConfigError } from "../../src/base/errors.ts";
import { checkDescription } from "../../src/config/check.ts";
import { parseToml, type TomlDocument } from "../../src/config/toml.ts";
import { fuzz, type Random } from "../support/random.ts";

const KEYS = [
  "name",
  "memory",
  "size",
  "cpu",
  "disk",
  "path",
  '"q r"',
  "'s'",
  "__proto__",
] as const;
const VALUES = ['"512M"', "1", "true", "-3.5", "''", "[1, 2]", "{ a = 1 }", '"\\u00e9"'] as const;
const SPOILS = ["[", "]", "=", '"', "'", "\n", "\0", "\\", "{", "}", ",", ".", "#", "é"] as const;

/** A document of unique keys that every parser has to take. */
function goodDocument(random: Random): string {
  const lines: string[] = [];
  for (let table = 0; table < random.between(1, 4); table++) {
    const name = `t${table}`;
    lines.push(random.chance(0.3) ? `[[${name}]]` : `[${name}]`);
    for (let key = 0; key < random.below(5); key++) {
      lines.push(`${random.chance(0.3) ? `k${key}.sub` : `k${key}`} = ${random.pick(VALUES)}`);
    }
  }
  return lines.join(random.chance(0.2) ? "\r\n" : "\n");
}

/** Anything that looks like TOML, some of it spoilt. */
function hostileDocument(random: Random): string {
  let text = "";
  for (let line = 0; line < random.below(12); line++) {
    const key = () => random.pick(KEYS);
    const kind = random.below(4);
    text += kind === 0
      ? `[${key()}]`
      : kind === 1
      ? `[[${key()}]]`
      : `${key()} = ${random.pick(VALUES)}`;
    text += "\n";
  }
  for (let spoil = 0; spoil < random.below(4); spoil++) {
    const at = random.below(text.length + 1);
    text = text.slice(0, at) + random.pick(SPOILS) + text.slice(at + random.below(3));
  }
  return text;
}

function parsed(text: string): TomlDocument | undefined {
  try {
    return parseToml(text, "f");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert(/^f:\d+:\d+: /.test(error.message), error.message);
    return undefined;
  }
}

Deno.test("parseToml() reads what @std/toml reads", () => {
  fuzz((random) => {
    const text = goodDocument(random);
    const document = parsed(text);
    assertEquals(JSON.stringify(document?.root), JSON.stringify(parse(text)), text);
  });
});

Deno.test("parseToml() and the check answer anything with values or with mistakes", () => {
  fuzz((random) => {
    const text = hostileDocument(random);
    const document = parsed(text);
    if (document === undefined) return;
    const lines = text.split("\n").length;
    for (const line of document.lines.values()) assert(line >= 1 && line <= lines, text);
    const { description, mistakes } = checkDescription(document.root);
    assert(description !== undefined || mistakes.length > 0, text);
    for (const { problem, allowed } of mistakes) assert(problem !== "" && allowed !== "", text);
  });
});
