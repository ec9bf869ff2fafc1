/**
 * The schema's rows as others read them: editors (JSON Schema), people (a table), the help of a command.
 *
 * @module
 */

import { allowedBy } from "./key_check.ts";
import { type KeyRow, KEYS } from "./schema.ts";
import { sizeText } from "./units.ts";

/** JSON as it is written out. */
export type Json = string | number | boolean | null | readonly Json[] | {
  readonly [key: string]: Json;
};

type Properties = Record<string, Json>;

/** What editors check and complete a file by, and show of each key: JSON Schema, draft 7. */
export function jsonSchema(): Json {
  const root: Properties = {};
  const tables = new Map<string, Properties>();
  const required = new Map<string, string[]>();
  for (const row of KEYS) {
    const [first = "", name] = row.path.split(".");
    if (name === undefined) {
      root[first] = keySchema(row);
      continue;
    }
    const table = tables.get(first) ?? {};
    table[name] = keySchema(row);
    tables.set(first, table);
    if (row.required) required.set(first, [...required.get(first) ?? [], name]);
  }
  for (const [name, properties] of tables) {
    const object = objectSchema(properties, required.get(name) ?? []);
    root[name.replace("[]", "")] = name.endsWith("[]") ? { type: "array", items: object } : object;
  }
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "A machine of Vireo",
    ...objectSchema(root, [...required.keys()]),
  };
}

function objectSchema(properties: Properties, required: readonly string[]) {
  return { type: "object", properties, additionalProperties: false, required };
}

function keySchema(row: KeyRow): Json {
  const { help: description, initial, choices = [] } = row;
  const rest = initial === undefined
    ? { description }
    : { description, default: row.type === "size" ? sizeText(Number(initial)) : initial };
  switch (row.type) {
    case "string":
      return {
        type: "string",
        ...(row.pattern === undefined ? {} : { pattern: row.pattern.source }),
        ...(row.most === undefined ? {} : { maxLength: row.most }),
        ...rest,
      };
    case "path":
      return { type: "string", minLength: 1, ...rest };
    case "integer":
      return { type: "integer", minimum: row.least ?? 0, maximum: row.most ?? 0, ...rest };
    case "size":
      return {
        oneOf: [
          { type: "string", pattern: "^[0-9]+([KMGTkmgt]([iI]?[bB])?)?$" },
          {
            type: "integer",
            minimum: row.least ?? 0,
            maximum: row.most ?? 0,
            multipleOf: row.multiple ?? 1,
          },
        ],
        ...rest,
      };
    case "boolean":
      return { type: "boolean", ...rest };
    case "choice":
      return { enum: [...choices], ...rest };
    case "choices":
      return { type: "array", items: { enum: [...choices] }, ...rest };
    default:
      throw row.type satisfies never;
  }
}

/** A Markdown list of all keys. */
export function keyReference(): string {
  return KEYS.map((row) =>
    `- \`${row.path}\`: ${code(allowedBy(row))}; default: ${initialOf(row)}. ${row.help}\n`
  ).join("");
}

/** Two columns for a help text. */
export function keyHelp(): readonly { readonly left: string; readonly right: string }[] {
  return KEYS.map((row) => ({
    left: `  ${row.path}`,
    right: `${row.help} Allowed: ${allowedBy(row)}. Default: ${
      initialOf(row).replaceAll("`", "")
    }.`,
  }));
}

/** Choices are written as in the file. */
function code(text: string): string {
  return text.replace(/"[^"]*"/g, (quoted) => `\`${quoted}\``);
}

function initialOf(row: KeyRow): string {
  if (row.required) return "none: it must be given";
  if (row.initialText !== undefined) return row.initialText;
  if (row.initial === undefined) return "none";
  if (row.type === "size") return `\`"${sizeText(Number(row.initial))}"\``;
  return `\`${JSON.stringify(row.initial)}\``;
}
