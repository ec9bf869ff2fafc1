/**
 * Asks a C compiler for the layout of structs, to compare ours with.
 *
 * @module
 */

import { type Layout, sizeof } from "../../src/base/struct.ts";

/** A C struct and our layout of it. */
export interface LayoutPair {
  /** As C spells it: `struct boot_params`. */
  readonly c: string;
  readonly layout: Layout<never>;
  /** Our names that C spells otherwise (`a.b`, `c[0]`); `null` for those that C has none for. Names that begin with `_` are padding. */
  readonly renamed?: Readonly<Record<string, string | null>>;
}

/** A layout as `name → offset`, the size under `sizeof`. */
export type Offsets = Readonly<Record<string, number>>;

/** Our layout, without padding and names that C doesn't have. */
export function ourOffsets(pair: LayoutPair): Offsets {
  const offsets: Record<string, number> = { sizeof: sizeof(pair.layout) };
  const compared = comparedNames(pair);
  for (const [name, offset] of Object.entries(pair.layout)) {
    if (compared.includes(name)) offsets[name] = Number(offset);
  }
  return offsets;
}

/** The compiler's layout of the same fields. */
export function compilerOffsets(
  headers: readonly string[],
  pairs: readonly LayoutPair[],
): Offsets[] {
  const answers = runC(source(headers, pairs)).trim().split("\n").map((line) => line.split(" "));
  return pairs.map((_, i) =>
    Object.fromEntries(
      answers.filter(([pair]) => Number(pair) === i).map((
        [, name, value],
      ) => [name, Number(value)]),
    )
  );
}

/**
 * What the compiler makes of constants, by name.
 *
 * @param names of macros; those that the headers don't define are left out
 * @param enumerators names of enum members, which the headers must have
 */
export function compilerValues(
  headers: readonly string[],
  names: readonly string[],
  enumerators: readonly string[] = [],
): Offsets {
  const print = (name: string) => `printf("${name} %lld\\n", (long long) (${name}));`;
  const lines = [
    ...names.flatMap((name) => [`#ifdef ${name}`, print(name), "#endif"]),
    ...enumerators.map(print),
  ];
  const answers = runC(program(headers, lines)).trim().split("\n").map((line) => line.split(" "));
  return Object.fromEntries(answers.map(([name, value]) => [name, Number(value)]));
}

function comparedNames({ layout, renamed = {} }: LayoutPair): readonly string[] {
  return Object.keys(layout).filter((name) => !name.startsWith("_") && renamed[name] !== null);
}

function source(headers: readonly string[], pairs: readonly LayoutPair[]): string {
  const lines = pairs.flatMap((pair, i) => [
    `printf("${i} sizeof %zu\\n", sizeof(${pair.c}));`,
    ...comparedNames(pair).map((name) =>
      `printf("${i} ${name} %zu\\n", offsetof(${pair.c}, ${pair.renamed?.[name] ?? name}));`
    ),
  ]);
  return program(headers, lines);
}

function program(headers: readonly string[], lines: readonly string[]): string {
  return [
    "#include <stddef.h>",
    "#include <stdio.h>",
    ...headers.map((header) => `#include <${header}>`),
    `int main(void) {\n${lines.join("\n")}\nreturn 0;\n}\n`,
  ].join("\n");
}

/** Compiles and runs a C program; gives what it printed. */
function runC(text: string): string {
  const folder = Deno.makeTempDirSync({ prefix: "vireo-layout-" });
  try {
    Deno.writeTextFileSync(`${folder}/layout.c`, text);
    run("gcc", "-w", "-o", `${folder}/layout`, `${folder}/layout.c`);
    return run(`${folder}/layout`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function run(command: string, ...args: string[]): string {
  const result = new Deno.Command(command, { args, stdout: "piped", stderr: "piped" }).outputSync();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!result.success) throw new Error(`Cannot run ${command}: ${decode(result.stderr)}`);
  return decode(result.stdout);
}
