/**
 * Runs every bench, or those whose name holds a word given as argument (`deno task bench exit`), and prints one table; behind it what
 * was left out, and why. Each is a program of its own, so that none is measured with another's garbage. Figures depend on the machine
 * and on its neighbours: compare ratios.
 *
 * @module
 */

import { parseSkip } from "../support/require.ts";
import { type Figure, figureTable, JSON_OPTION } from "./figures.ts";
import { V8_OPTION } from "./v8_option.ts";

const wanted = Deno.args;
const folder = new URL("./", import.meta.url);
const benches = [...Deno.readDirSync(folder)].map(({ name }) => name)
  .filter((name) => name.endsWith("_bench.ts"))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .sort();

const figures: Figure[] = [];
const skips = new Set<string>();
let failures = 0;
for (const bench of benches) {
  // deno-lint-ignore no-console -- a program's output
  console.error(`… ${bench}`);
  const flags = ["-A", "--no-check", V8_OPTION];
  const args = ["run", ...flags, new URL(bench, folder).pathname, JSON_OPTION];
  const command = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "inherit" });
  const { success, stdout } = await command.output();
  if (!success) failures++;
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const skip = parseSkip(line);
    if (skip !== undefined) skips.add(`${bench} left out: ${skip.reason}`);
    // A bench that lacks what it needs prints no figures; one that failed has said so on stderr.
    if (success && line.startsWith("[")) figures.push(...JSON.parse(line));
  }
}
// deno-lint-ignore no-console -- a program's output
if (figures.length > 0) console.log(figureTable(figures));
// deno-lint-ignore no-console -- a program's output
for (const skip of skips) console.log(skip);
Deno.exitCode = failures > 0 || benches.length === 0 ? 1 : 0;
