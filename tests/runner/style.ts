/**
 * The checks of the code's form: formatting, lint with the house's rules, types, documentation.
 *
 * @module
 */
import { duration, say } from "../support/progress.ts";
import { modulesBelow } from "../support/import_graph.ts";
import { linesTo, runCommand } from "./command.ts";
import { parseDocLint, undocumentedExports } from "./doc_lint.ts";
import type { Part, TestResult } from "./result.ts";

const ROOT = new URL("../../", import.meta.url);
const BOUND_MS = 5 * 60_000;

/** A check, and whether it found nothing wrong; what is wrong is given to `tell`. */
type Check = (signal: AbortSignal, tell: (line: string) => void) => Promise<boolean>;

/** The checks by name. */
export const STYLE_CHECKS = {
  format: (signal, tell) => deno(["fmt", "--check"], signal, tell),
  lint: (signal, tell) => deno(["lint"], signal, tell),
  types: async (signal, tell) =>
    await deno(["check", ...await existing(["src", "tests", "examples"])], signal, tell),
  documentation: async (signal, tell) => {
    const library = await deno(["doc", "--lint", "src/mod.ts"], signal, tell);
    return await exportsAreDocumented(signal, tell) && library;
  },
} as const satisfies Record<string, Check>;

/** The name of a check. */
export type StyleCheck = keyof typeof STYLE_CHECKS;

/** Runs checks one after another; the output of those that fail is printed. */
export async function runStyle(
  signal: AbortSignal,
  checks: readonly StyleCheck[] = Object.keys(STYLE_CHECKS) as StyleCheck[],
): Promise<Part> {
  const tests: TestResult[] = [];
  for (const check of checks) tests.push(await runCheck(check, signal));
  const place = "host";
  return { title: "style", place, deno: Deno.version.deno, tests, skipped: [], problems: [] };
}

async function runCheck(check: StyleCheck, signal: AbortSignal): Promise<TestResult> {
  const start = performance.now();
  const lines: string[] = [];
  const passed = await STYLE_CHECKS[check](signal, (line) => lines.push(line));
  const milliseconds = performance.now() - start;
  if (!passed) lines.forEach(say);
  say(`${check} ... ${passed ? "ok" : "FAILED"} (${duration(milliseconds)})`);
  return {
    file: "deno.json",
    name: check,
    line: 1,
    outcome: passed ? "passed" : "failed",
    seconds: milliseconds / 1000,
    why: passed ? "" : lines.join("\n"),
  };
}

/** Holds in all of `src` but `abi`, whose constants and layouts are documented by the names they have in C. */
async function exportsAreDocumented(
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<boolean> {
  const modules = (await modulesBelow(ROOT, "src")).filter((one) => !one.startsWith("src/abi/"));
  const lines: string[] = [];
  const clean = await deno(["doc", "--lint", ...modules], signal, (line) => lines.push(line));
  const complaints = parseDocLint(lines);
  if (!clean && complaints.length === 0) {
    lines.forEach(tell);
    return false;
  }
  const sources = new Map<string, string[]>();
  const found = undocumentedExports(complaints, (path, line) => {
    const source = sources.get(path) ?? Deno.readTextFileSync(path).split("\n");
    sources.set(path, source);
    return source[line - 1] ?? "";
  });
  for (const { path, line, text } of found) tell(`${path}:${line}: ${text}`);
  return found.length === 0;
}

async function deno(
  args: readonly string[],
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<boolean> {
  const outputs = linesTo(tell);
  const program = Deno.execPath();
  const ended = await runCommand({ program, args, bound: BOUND_MS, signal, outputs });
  if (ended.problem !== undefined) tell(`deno ${args[0]}: ${ended.problem}`);
  return ended.code === 0 && ended.problem === undefined;
}

async function existing(folders: readonly string[]): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(ROOT)) names.push(entry.name);
  return folders.filter((folder) => names.includes(folder));
}
