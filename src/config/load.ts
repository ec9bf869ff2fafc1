/**
 * Reads a machine's description from a file, with what the command line changes in it.
 *
 * @module
 */

import { ConfigError, errorText } from "../base/errors.ts";
import { dirname, resolve } from "../std/path.ts";
import { checkDescription, type CheckResult, type Locate, type Origin } from "./check.ts";
import { type KeyRow, KEYS } from "./schema.ts";
import { isTable, joined, parseToml, type TomlTable, type TomlValue } from "./toml.ts";

/** A key given on the command line. */
export interface Override {
  /** `memory.size`, `disk[0].readonly`. */
  readonly key: string;
  /** Its value as text; absent to take away what the file says. */
  readonly text?: string;
  /** The option, for mistakes: `--set`. */
  readonly place: string;
}

/** Where a description comes from. */
export interface DescriptionSource {
  /** A TOML file; absent where the overrides say it all. */
  readonly file?: string;
  /** In their order; a later one counts. */
  readonly overrides?: readonly Override[];
  /** A program's own loader stands in for the kernel. */
  readonly hasLoader?: boolean;
  /** Reads that file up to so many bytes; Deno's own calls where absent. */
  readonly read?: (file: string, most: number) => Uint8Array;
}

/** What a description has come to, and where each key was given: for what only the host can say about it. */
export type LoadResult = CheckResult & { readonly locate: Locate };

/** Longest file. A machine with all disks that fit has some 2 KiB. */
export const MAX_FILE_SIZE = 2 ** 20;

/**
 * Reads and checks a description.
 *
 * @throws ConfigError where the file cannot be read or is no TOML; other mistakes are in the result, all of them
 */
export function loadDescription(
  { file, overrides = [], hasLoader = false, read = readStream }: DescriptionSource,
): LoadResult {
  const origins = new Map<string, Origin>();
  const root = file === undefined ? Object.create(null) : readTree(file, read, origins);
  for (const override of overrides) apply(root, override, origins);
  const locate = (key: string) => originOf(key, origins);
  return { ...checkDescription(root, { locate, hasLoader }), locate };
}

/** `memory.size=1G` as a key and its text. */
export function parseOverride(text: string, place: string): Override {
  const equals = text.indexOf("=");
  if (equals > 0) {
    return { key: text.slice(0, equals).trim(), text: text.slice(equals + 1), place };
  }
  throw new ConfigError(place, `"${text}" sets nothing; write KEY=VALUE: memory.size=1G`);
}

type Read = Required<DescriptionSource>["read"];

function readTree(file: string, read: Read, origins: Map<string, Origin>): TomlTable {
  const { root, lines } = parseToml(readText(file, read), file);
  const folder = dirname(resolve(file));
  for (const [key, line] of lines) origins.set(key, { place: `${file}:${line}`, line, folder });
  origins.set("", { place: file, folder });
  return root;
}

/** The text of a file, without a byte order mark. */
function readText(file: string, read: Read): string {
  const bytes = readBytes(file, read);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const line = lineOfBadByte(bytes);
    throw new ConfigError(`${file}:${line}`, "This is no UTF-8; save the file as UTF-8");
  }
}

function readBytes(file: string, read: Read): Uint8Array {
  if (file === "" || file.includes("\0")) {
    throw new ConfigError("CONFIG.toml", "The path is empty or holds NUL; name a file");
  }
  try {
    const bytes = read(file, MAX_FILE_SIZE + 1);
    if (bytes.length <= MAX_FILE_SIZE) return bytes;
  } catch (error) {
    if (/EISDIR|[Ii]s a directory/.test(errorText(error))) {
      throw new ConfigError(file, "It is a folder; name a file");
    }
    throw new ConfigError(
      file,
      `Cannot read it: ${errorText(error)}; name a file that you may read`,
      { cause: error },
    );
  }
  throw new ConfigError(file, "It is larger than 1 MiB, and so no machine's description");
}

/** Piece by piece: a pipe has no size before it is read. */
function readStream(file: string, most: number): Uint8Array {
  using input = Deno.openSync(file);
  const bytes = new Uint8Array(most);
  let length = 0;
  while (length < most) {
    const count = input.readSync(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

function lineOfBadByte(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    const next = end < 0 ? bytes.length : end + 1;
    try {
      decoder.decode(bytes.subarray(at, next));
    } catch {
      return line;
    }
    line++;
    at = next;
  }
  return line;
}

/** The nearest place that is known: of the key itself, or of a table that it is in. */
function originOf(key: string, origins: ReadonlyMap<string, Origin>): Origin {
  for (let path = key; path !== ""; path = parentOf(path)) {
    const origin = origins.get(path);
    if (origin !== undefined) return origin;
  }
  return origins.get("") ?? {};
}

function parentOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf("."), key.lastIndexOf("[")));
}

/** Puts a value into the tree, where the tree has the shape for it; else what is wrong shows in the check. */
function apply(root: TomlTable, override: Override, origins: Map<string, Origin>): void {
  const steps = [...override.key.matchAll(/([^.[\]]+)|\[(\d+)\]/g)];
  let at: TomlValue = root;
  let path = "";
  if (steps.length === 0) throw noSuchKey(override);
  for (const [index, [, name, position]] of steps.entries()) {
    const isLast = index === steps.length - 1;
    const following = steps[index + 1]?.[2] === undefined ? "table" : "list";
    const step = name ?? Number(position);
    path = typeof step === "number" ? `${path}[${step}]` : joined(path, step);
    if (isLast) put(at, step, path, override);
    else at = enter(at, step, following, override);
    if (isLast || !origins.has(path)) origins.set(path, { place: override.place });
  }
}

function put(at: TomlValue, step: string | number, path: string, override: Override): void {
  if (typeof step !== "string" || !isTable(at)) throw noSuchKey(override);
  if (override.text === undefined) delete at[step];
  else at[step] = valueOf(override.text, path);
}

function enter(
  at: TomlValue,
  step: string | number,
  kind: "table" | "list",
  override: Override,
): TomlValue {
  const { key, place } = override;
  const made = (): TomlValue => kind === "list" ? [] : Object.create(null);
  if (typeof step === "string" && isTable(at)) return at[step] ??= made();
  if (typeof step === "number" && Array.isArray(at)) {
    if (step < at.length) return at[step];
    if (step === at.length) return at[at.push(made()) - 1];
    throw new ConfigError(
      `${place} ${key}`,
      `There are ${at.length} of them; the next is [${at.length}]`,
    );
  }
  throw noSuchKey(override);
}

function noSuchKey({ key, place }: Override): ConfigError {
  return new ConfigError(
    `${place} ${key}`,
    "There is no such key; `vireo check --help` lists them, a disk's as disk[0].path",
  );
}

/** A text as its row's type. What does not fit stays a text, and the check says so. */
function valueOf(text: string, path: string): TomlValue {
  const pattern = path.replace(/\[\d+\]/g, "[]");
  const row: KeyRow | undefined = KEYS.find((row) => row.path === pattern);
  switch (row?.type) {
    case "integer":
      return /^[+-]?\d+$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "choices":
      return text === "" ? [] : text.split(",").map((word) => word.trim());
    default:
      return text;
  }
}
