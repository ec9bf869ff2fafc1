/**
 * The gate before each commit, `deno task ok`: form of the code and unit tests, in under a minute.
 * With names of checks (`format`, `lint`, `types`, `documentation`) it runs those alone.
 *
 * @module
 */
import { LocalHost } from "./runner/hosts.ts";
import { printReport } from "./runner/report.ts";
import { runStyle, STYLE_CHECKS, type StyleCheck } from "./runner/style.ts";
import { runTests } from "./runner/suite.ts";
import { testFiles } from "./support/test_files.ts";

const BOUND_MS = 120_000;
/** Processes among which the files are dealt out. */
const PROCESSES_MAX = 2;
/** They boot machines. */
const NOT_UNIT = /^tests\/(linux\/|guests\/|main_|rig\/(boot_in_)?rig_test\.ts$)/;

const named = Deno.args.filter((name): name is StyleCheck => Object.hasOwn(STYLE_CHECKS, name));
const { signal } = new AbortController();

if (named.length > 0) {
  Deno.exitCode = printReport([await runStyle(signal, named)]);
} else {
  const files = (await testFiles()).filter((file) => !NOT_UNIT.test(file));
  const count = Math.min(PROCESSES_MAX, navigator.hardwareConcurrency);
  const style = await runStyle(signal);
  const units = Array.from({ length: count }, async (_, index) => {
    using host = LocalHost.own(signal);
    const title = `unit tests ${index + 1}`;
    const share = files.filter((_, place) => place % count === index);
    return await runTests(host, { title, files: share, bound: BOUND_MS, terse: true });
  });
  Deno.exitCode = printReport([style, ...await Promise.all(units)]);
}
