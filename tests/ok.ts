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
/** They boot machines. */
const NOT_UNIT = /^tests\/(linux\/|guests\/|main_|rig\/(boot_in_)?rig_test\.ts$)/;

const named = Deno.args.filter((name): name is StyleCheck => Object.hasOwn(STYLE_CHECKS, name));
const { signal } = new AbortController();

if (named.length > 0) {
  Deno.exitCode = printReport([await runStyle(signal, named)]);
} else {
  using host = LocalHost.own(signal);
  const files = (await testFiles()).filter((file) => !NOT_UNIT.test(file));
  const title = "unit tests";
  Deno.exitCode = printReport([
    await runStyle(signal),
    await runTests(host, { title, files, bound: BOUND_MS, terse: true }),
  ]);
}
