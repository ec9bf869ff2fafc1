/**
 * Reads TOML 1.0 with the line of every key, which is what an error about a key has to name. `@std/toml` gives no lines, takes a key
 * that is given twice, and needs minutes for a file of many keys; tests hold the two against each other.
 *
 * @module
 */

import type { ConfigError } from "../base/errors.ts";
import { TomlCursor } from "./toml_cursor.ts";
import { readDateOrNumber, type TomlDate } from "./toml_scalar.ts";

/** A value of TOML. */
export type TomlValue =
  | string
  | number
  | bigint
  | boolean
  | TomlDate
  | readonly TomlValue[]
  | TomlTable;

/** A table; it has no prototype, so that no key means anything else. */
export interface TomlTable {
  [key: string]: TomlValue;
}

/** A document. */
export interface TomlDocument {
  /** The table of everything. */
  readonly root: TomlTable;
  /** The line, from 1, at which each key, table and element of an array of tables stands first: `memory.size`, `disk[0].path`. */
  readonly lines: ReadonlyMap<string, number>;
}

/** How deep arrays and tables may lie in each other. */
export const TOML_MAX_DEPTH = 32;

/** Who may still add to a table: a header once to an implicit one, dotted keys to their own, nobody to an inline one. */
type Origin = "implicit" | "header" | "dotted" | "inline";

interface Place {
  readonly table: TomlTable;
  readonly path: string;
}

/**
 * Reads a document.
 *
 * @param text without a byte order mark
 * @param name of the file, for errors
 * @throws ConfigError that names file, line and column of the first mistake
 */
export function parseToml(text: string, name: string): TomlDocument {
  return new TomlReader(text, name).read();
}

const BARE_KEY = /[A-Za-z0-9_-]+/y;
const SCALAR = /[^\s,\]}#=]+(?: \d\d:[^\s,\]}#]+)?/y;

class TomlReader {
  readonly #cursor: TomlCursor;
  readonly #lines = new Map<string, number>();
  readonly #origins = new WeakMap<TomlTable, Origin>();
  /** Arrays made by `[[…]]`, which alone may grow. */
  readonly #tableArrays = new WeakSet<readonly TomlValue[]>();
  #depth = 0;

  constructor(text: string, name: string) {
    this.#cursor = new TomlCursor(text, name);
  }

  read(): TomlDocument {
    const root = this.#newTable("header");
    let place: Place = { table: root, path: "" };
    for (;;) {
      this.#cursor.skipLines();
      if (this.#cursor.at >= this.#cursor.text.length) return { root, lines: this.#lines };
      if (this.#cursor.text.startsWith("[", this.#cursor.at)) place = this.#header(root);
      else this.#assignment(place);
      this.#cursor.endOfLine();
    }
  }

  #header(root: TomlTable): Place {
    const start = this.#cursor.at;
    const isArray = this.#cursor.text.startsWith("[[", start);
    this.#cursor.at += isArray ? 2 : 1;
    const keys = this.#keys();
    if (!this.#cursor.take(isArray ? "]]" : "]")) {
      throw this.#cursor.mistake(`"${isArray ? "]]" : "]"}" is missing behind the table's name`);
    }
    const last = keys.pop() ?? "";
    let place: Place = { table: root, path: "" };
    for (const key of keys) place = this.#enter(place, key, "implicit", start);
    return isArray ? this.#element(place, last, start) : this.#open(place, last, start);
  }

  /** `[table]`: a new one, or one that deeper headers have made in passing. */
  #open({ table, path }: Place, key: string, start: number): Place {
    const at = joined(path, key);
    const there = table[key];
    if (there === undefined) {
      const opened = this.#newTable("header");
      table[key] = opened;
      this.#lines.set(at, this.#cursor.line(start));
      return { table: opened, path: at };
    }
    if (!isTable(there) || this.#origins.get(there) !== "implicit") throw this.#twice(at, start);
    this.#origins.set(there, "header");
    return { table: there, path: at };
  }

  /** `[[array]]`: one more table at its end. */
  #element({ table, path }: Place, key: string, start: number): Place {
    const list = table[key] ?? [];
    if (!Array.isArray(list) || (list.length > 0 && !this.#tableArrays.has(list))) {
      throw this.#twice(joined(path, key), start);
    }
    if (list.length === 0 && table[key] !== undefined) throw this.#twice(joined(path, key), start);
    const element = this.#newTable("header");
    const at = `${joined(path, key)}[${list.length}]`;
    list.push(element);
    this.#tableArrays.add(list);
    table[key] = list;
    if (list.length === 1) this.#lines.set(joined(path, key), this.#cursor.line(start));
    this.#lines.set(at, this.#cursor.line(start));
    return { table: element, path: at };
  }

  /** Goes into a table on the way to a deeper key. */
  #enter({ table, path }: Place, key: string, origin: "implicit" | "dotted", start: number): Place {
    const at = joined(path, key);
    const there = table[key];
    if (there === undefined) {
      const made = this.#newTable(origin);
      table[key] = made;
      this.#lines.set(at, this.#cursor.line(start));
      return { table: made, path: at };
    }
    if (Array.isArray(there) && origin === "implicit" && this.#tableArrays.has(there)) {
      return { table: there.at(-1), path: `${at}[${there.length - 1}]` };
    }
    const closed = isTable(there) ? this.#closedTo(there, origin) : true;
    if (closed || !isTable(there)) throw this.#twice(at, start);
    return { table: there, path: at };
  }

  #closedTo(table: TomlTable, origin: "implicit" | "dotted"): boolean {
    const made = this.#origins.get(table);
    if (made === "inline") return true;
    return origin === "dotted" && made !== "dotted" && made !== "implicit";
  }

  #assignment(place: Place): void {
    const start = this.#cursor.at;
    const keys = this.#keys();
    const last = keys.pop() ?? "";
    if (!this.#cursor.take("=")) {
      throw this.#cursor.mistake(`"=" is missing behind the key "${last}"`);
    }
    this.#cursor.blanks();
    let at = place;
    for (const key of keys) at = this.#enter(at, key, "dotted", start);
    const path = joined(at.path, last);
    if (at.table[last] !== undefined) throw this.#twice(path, start);
    this.#lines.set(path, this.#cursor.line(start));
    at.table[last] = this.#value(path);
  }

  /** A key with its dots, blanks around each allowed. */
  #keys(): string[] {
    const keys: string[] = [];
    do {
      this.#cursor.blanks();
      keys.push(this.#key());
      this.#cursor.blanks();
      if (keys.length > TOML_MAX_DEPTH) throw this.#tooDeep();
    } while (this.#cursor.take("."));
    return keys;
  }

  #key(): string {
    const bare = this.#cursor.match(BARE_KEY)?.[0];
    if (bare !== undefined) return bare;
    const quote = this.#cursor.text[this.#cursor.at];
    if (this.#cursor.text.startsWith(`${quote}`.repeat(3), this.#cursor.at)) {
      throw this.#cursor.mistake("A key is one line; use one quotation mark");
    }
    if (quote === '"') return this.#cursor.basicString();
    if (quote === "'") return this.#cursor.literalString();
    throw this.#cursor.mistake(`A key is expected here, not ${this.#cursor.seen()}`);
  }

  #value(path: string): TomlValue {
    const first = this.#cursor.text[this.#cursor.at];
    if (first === '"') {
      return this.#cursor.take('"""')
        ? this.#cursor.multilineString('"')
        : this.#cursor.basicString();
    }
    if (first === "'") return this.#cursor.literalString();
    if (first === "[") return this.#nested(() => this.#array(path));
    if (first === "{") return this.#nested(() => this.#inlineTable(path));
    const start = this.#cursor.at;
    const word = this.#cursor.match(SCALAR)?.[0];
    if (word === undefined) {
      throw this.#cursor.mistake(`A value is expected here, not ${this.#cursor.seen()}`);
    }
    if (word === "true" || word === "false") return word === "true";
    const value = readDateOrNumber(word);
    if (value !== undefined) return value;
    this.#cursor.at = start;
    throw this.#cursor.mistake(
      `${JSON.stringify(word.slice(0, 40))} is no value; put text in quotation marks`,
    );
  }

  #array(path: string): TomlValue {
    const list: TomlValue[] = [];
    this.#cursor.at++;
    for (;;) {
      this.#cursor.skipLines();
      if (this.#cursor.take("]")) return list;
      list.push(this.#value(`${path}[${list.length}]`));
      this.#cursor.skipLines();
      if (this.#cursor.take("]")) return list;
      if (!this.#cursor.take(",")) {
        throw this.#cursor.mistake(`"," or "]" is expected here, not ${this.#cursor.seen()}`);
      }
    }
  }

  #inlineTable(path: string): TomlTable {
    const table = this.#newTable("dotted");
    this.#cursor.at++;
    this.#cursor.blanks();
    if (!this.#cursor.take("}")) {
      do {
        this.#cursor.blanks();
        this.#assignment({ table, path });
        this.#cursor.blanks();
      } while (this.#cursor.take(","));
      if (!this.#cursor.take("}")) {
        throw this.#cursor.mistake(`"," or "}" is expected here, not ${this.#cursor.seen()}`);
      }
    }
    this.#close(table);
    return table;
  }

  /** An inline table is complete, and so is all that its dotted keys have made. */
  #close(table: TomlTable): void {
    this.#origins.set(table, "inline");
    for (const value of Object.values(table)) {
      if (isTable(value) && this.#origins.get(value) !== "inline") this.#close(value);
    }
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > TOML_MAX_DEPTH) throw this.#tooDeep();
    const value = read();
    this.#depth--;
    return value;
  }

  #newTable(origin: Origin): TomlTable {
    const table: TomlTable = Object.create(null);
    this.#origins.set(table, origin);
    return table;
  }

  #twice(path: string, start: number): ConfigError {
    this.#cursor.at = start;
    const before = this.#lines.get(path);
    const where = before === undefined ? "already" : `on line ${before} already`;
    return this.#cursor.mistake(`"${path}" is given ${where}; give it once`);
  }

  #tooDeep(): ConfigError {
    return this.#cursor.mistake(`This is nested deeper than ${TOML_MAX_DEPTH} levels`);
  }
}

/** A key's path: `memory.size`, with quotation marks around what is no bare key. */
export function joined(path: string, key: string): string {
  const shown = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
  return path === "" ? shown : `${path}.${shown}`;
}

/** Whether a value is a table. */
export function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === null;
}
