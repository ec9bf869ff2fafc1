/**
 * From what somebody has written to a whole {@linkcode Description}, or to everything that is wrong with it.
 *
 * @module
 */

import { nearest } from "../base/nearest.ts";
import { resolve } from "../std/path.ts";
import { crossCheck } from "./cross_check.ts";
import type { Description } from "./description.ts";
import { checkValue, kindOf } from "./key_check.ts";
import type { Mistake } from "./mistake.ts";
import { type KeyRow, KEYS } from "./schema.ts";
import { joined } from "./toml.ts";
import { TomlDate } from "./toml_scalar.ts";

/** Where a key was given: for mistakes, and for what its relative paths start from. */
export interface Origin {
  readonly place?: string;
  readonly line?: number;
  /** Folder that relative paths start from; the working directory where absent. */
  readonly folder?: string;
}

/** Tells where a key was given. */
export type Locate = (key: string) => Origin;

/** A description that is whole and frozen, or at least one mistake. */
export type CheckResult =
  | { readonly description: Description; readonly mistakes: readonly [] }
  | { readonly description?: undefined; readonly mistakes: readonly Mistake[] };

/** A node of the tree of keys. */
type Node =
  | { readonly kind: "key"; readonly row: KeyRow }
  | { readonly kind: "table" | "tables"; readonly children: Map<string, Node> };

type Table = { readonly [key: string]: unknown };

/** How a description is checked. */
export interface CheckOptions {
  /** Where each key was given. */
  readonly locate?: Locate;
  /** A program's own loader stands in for the kernel. */
  readonly hasLoader?: boolean;
}

/** Checks all that can be checked without the host. */
export function checkDescription(
  given: unknown,
  { locate = () => ({}), hasLoader = false }: CheckOptions = {},
): CheckResult {
  const check = new DescriptionCheck(locate);
  check.table(ROOT, given, "");
  const mistakes = check.mistakes;
  const bad = new Set(mistakes.map(({ key }) => key));
  const description = assemble(check.values, check.counts);
  if (hasLoader) Object.assign(description.kernel, { path: "" });
  for (const { key, problem, allowed } of crossCheck(description, check.values, bad, hasLoader)) {
    const shown = check.values.get(key);
    mistakes.push({
      key,
      problem,
      allowed,
      ...placeOf(locate(key)),
      ...(shown === undefined ? {} : { value: jsonOf(shown) }),
    });
  }
  if (mistakes.length > 0) return { mistakes: mistakes.toSorted(byLine) };
  return { description: deepFreeze(description), mistakes: [] };
}

class DescriptionCheck {
  readonly mistakes: Mistake[] = [];
  /** Good values by key. */
  readonly values = new Map<string, unknown>();
  /** How many elements each array of tables has. */
  readonly counts = new Map<string, number>();
  readonly #locate: Locate;

  constructor(locate: Locate) {
    this.#locate = locate;
  }

  table(children: Map<string, Node>, given: unknown, path: string): void {
    if (!isPlainTable(given)) {
      this.#add(path, given, {
        problem: `It is ${kindOf(given)} and should be a table`,
        allowed: path === "" ? "a table" : `[${path.replace(/\[\d+\]$/, "")}]`,
      });
      return;
    }
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) continue;
      const node = children.get(name);
      if (node === undefined) this.#unknown(joined(path, name), name, children);
      else this.#node(node, value, joined(path, name));
    }
  }

  #node(node: Node, value: unknown, path: string): void {
    switch (node.kind) {
      case "key":
        return this.#key(node.row, value, path);
      case "table":
        return this.table(node.children, value, path);
      case "tables":
        return this.#tables(node.children, value, path);
      default:
        throw node satisfies never;
    }
  }

  #key(row: KeyRow, given: unknown, path: string): void {
    const checked = checkValue(row, given);
    if (!("value" in checked)) return this.#add(path, given, checked);
    const { folder = "" } = this.#locate(path);
    const isPath = row.type === "path" && !row.choices?.includes(checked.value as string);
    this.values.set(path, isPath ? pathOf(folder, checked.value as string) : checked.value);
  }

  #tables(children: Map<string, Node>, given: unknown, path: string): void {
    if (!Array.isArray(given)) {
      this.#add(path, given, {
        problem: `It is ${kindOf(given)} and should be a list of tables`,
        allowed: `[[${path}]]`,
      });
      return;
    }
    this.counts.set(path, given.length);
    for (const [index, element] of given.entries()) {
      this.table(children, element, `${path}[${index}]`);
    }
  }

  #unknown(path: string, name: string, children: Map<string, Node>): void {
    const names = [...children.keys()];
    const elsewhere = KEYS.map((row) => row.path).find((key) => key.endsWith(`.${name}`));
    const suggestion = nearest(name, names) ?? elsewhere;
    this.#add(path, undefined, {
      problem: "There is no such key",
      allowed: names.join(", "),
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }

  #add(
    key: string,
    value: unknown,
    problem: Pick<Mistake, "problem" | "allowed" | "suggestion">,
  ): void {
    const shown = value === undefined ? {} : { value: jsonOf(value) };
    this.mistakes.push({ key, ...placeOf(this.#locate(key)), ...shown, ...problem });
  }
}

const ROOT = keyTree();

function keyTree(): Map<string, Node> {
  const root = new Map<string, Node>();
  for (const row of KEYS) {
    const parts = row.path.split(".");
    const key = parts.pop() ?? "";
    let children = root;
    for (const part of parts) {
      const name = part.replace("[]", "");
      const kind = part.endsWith("[]") ? "tables" : "table";
      const there = children.get(name) ?? { kind, children: new Map<string, Node>() };
      children.set(name, there);
      if (there.kind !== "key") children = there.children;
    }
    children.set(key, { kind: "key", row });
  }
  return root;
}

/** The description with its defaults; what was wrong has its default too, and is never handed out. */
function assemble(
  values: ReadonlyMap<string, unknown>,
  counts: ReadonlyMap<string, number>,
): Description {
  const whole: Record<string, Record<string, unknown> | unknown> = { disk: [] };
  const disks: Record<string, unknown>[] = Array.from(
    { length: counts.get("disk") ?? 0 },
    () => ({}),
  );
  for (const row of KEYS) {
    const [first = "", name] = row.path.split(".");
    if (first === "disk[]" && name !== undefined) {
      disks.forEach((disk, index) => put(disk, name, values.get(`disk[${index}].${name}`), row));
    } else if (name === undefined) put(whole, first, values.get(row.path), row);
    else put((whole[first] ??= {}) as Record<string, unknown>, name, values.get(row.path), row);
  }
  return withDerived({ ...whole, disk: disks } as unknown as Description);
}

function put(table: Record<string, unknown>, name: string, given: unknown, row: KeyRow): void {
  const value = given ?? row.initial;
  if (value !== undefined) table[name] = value;
}

/** Defaults that depend on other keys. */
function withDerived(given: Description): Description {
  const { count, max, sockets, cores, threads } = given.cpu as Partial<Description["cpu"]>;
  const perCore = (sockets ?? 1) * (threads ?? 1);
  const all = max ?? count ?? perCore * (cores ?? 1);
  const disk = given.disk.map((one, index) => {
    const id = one.id ?? `disk${index}`;
    return { ...one, id, serial: one.serial ?? id.slice(0, 20) };
  });
  const cpu = {
    ...given.cpu,
    count: count ?? all,
    max: all,
    cores: cores ?? Math.max(1, Math.floor(all / perCore)),
  };
  const shared = given.memory.shared || given.memory.path !== undefined;
  const uuid = given.uuid === undefined ? {} : { uuid: given.uuid.toLowerCase() };
  return { ...given, ...uuid, cpu, disk, memory: { ...given.memory, shared } };
}

function isPlainTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof TomlDate);
}

/** A path as the file's folder has it; `fd:7` is descriptor 7 that the process was started with. */
function pathOf(folder: string, path: string): string {
  const [, descriptor] = /^fd:(\d+)$/.exec(path) ?? [];
  return descriptor === undefined ? resolve(folder, path) : `/dev/fd/${Number(descriptor)}`;
}

/** The part of an origin that a mistake shows. */
export function placeOf({ place, line }: Origin): Pick<Mistake, "place" | "line"> {
  return { ...(place === undefined ? {} : { place }), ...(line === undefined ? {} : { line }) };
}

const SHOWN = 60;

/** A value as JSON, cut where it is long. */
function jsonOf(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value, (_key, part) => {
    if (part instanceof TomlDate) return part.text;
    return typeof part === "bigint" ? `${part}` : part;
  }) ?? typeof value;
  const plain = typeof value === "bigint" ? String(value) : text;
  return plain.length > SHOWN ? `${plain.slice(0, SHOWN)}…` : plain;
}

function byLine(a: Mistake, b: Mistake): number {
  return (a.line ?? Infinity) - (b.line ?? Infinity) || 0;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
