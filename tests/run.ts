/**
 * The whole test suite, `deno task test`: installs what it needs, runs everything where it can run,
 * and closes with one line of counts. With paths (`deno task test tests/linux`) only the tests below
 * them run.
 *
 * @module
 */
import { errorText } from "../src/base/errors.ts";
import { findBootFiles } from "../src/boot/boot_files.ts";
import { installPackages, missingPackages } from "./runner/install.ts";
import { findDeno, LocalHost, OLDEST_DENO } from "./runner/hosts.ts";
import { writeRecord } from "./runner/record.ts";
import { printReport } from "./runner/report.ts";
import type { Part } from "./runner/result.ts";
import { runStyle } from "./runner/style.ts";
import { runTests, skippedPart, type TestPart } from "./runner/suite.ts";
import { type HostKvm, hostKvm } from "../src/kvm/host_kvm.ts";
import { testFiles } from "./support/test_files.ts";
import { fetchTestKernels } from "./support/linux_kernels.ts";
import { duration, say } from "./support/progress.ts";

const MINUTE = 60_000;
/** Nothing may run longer than this, whatever hangs. */
const OVERALL_BOUND_MS = 75 * MINUTE;
const UNIT_BOUND_MS = 15 * MINUTE;
const LINUX_BOUND_MS = 30 * MINUTE;

/** Paths to test below; all where there are none. */
const PATHS: readonly string[] = Deno.args;

const KVM_USE = {
  none: "guests run in the rig",
  paravirtual: "tiny guests run on it, Linux in the rig",
  full: "all guests run on it",
} as const satisfies Record<HostKvm["kind"], string>;

async function main(): Promise<void> {
  const start = performance.now();
  const stop = new AbortController();
  Deno.unrefTimer(setTimeout(() => stop.abort(), OVERALL_BOUND_MS));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  const kvm = hostKvm();
  say(`Deno ${Deno.version.deno}, KVM: ${kvm.kind} (${kvm.reason}); ${KVM_USE[kvm.kind]}`);
  await installPackages(missingPackages(), stop.signal);
  const parts = await runParts(kvm, stop.signal);
  if (PATHS.length === 0) await keepRecord(kvm, parts);
  say(`\nAll in ${duration(performance.now() - start)}`);
  Deno.exit(printReport(parts));
}

/** For `deno task rows`; a cache that can't be written costs no test. */
async function keepRecord(kvm: HostKvm, parts: readonly Part[]): Promise<void> {
  try {
    await writeRecord({ at: new Date().toISOString(), hostKvm: kvm.kind, parts });
  } catch (error) {
    say(errorText(error));
  }
}

async function runParts(kvm: HostKvm, signal: AbortSignal): Promise<Part[]> {
  const { onHost, onFull } = await placeFiles(kvm);
  const parts: Part[] = [];
  if (PATHS.length === 0) {
    say("\n== style: formatting, lint, types, documentation");
    parts.push(await runStyle(signal));
  }
  if (onHost.length > 0) parts.push(...await runUnits(onHost, signal));
  if (onFull.length > 0 && !signal.aborted) parts.push(...await runGuests(onFull, kvm, signal));
  return parts;
}

/** What runs on this host whatever its KVM, and what waits for a full one. */
async function placeFiles(kvm: HostKvm): Promise<{ onHost: string[]; onFull: string[] }> {
  const isChosen = (file: string): boolean =>
    PATHS.length === 0 || PATHS.some((path) => file.startsWith(path));
  const files = (await testFiles()).filter(isChosen);
  const needsFull = kvm.kind === "none" ? /^tests\/(guests|linux)\// : /^tests\/linux\//;
  const onFull = files.filter((file) => needsFull.test(file));
  return { onHost: files.filter((file) => !onFull.includes(file)), onFull };
}

async function runUnits(files: readonly string[], signal: AbortSignal): Promise<Part[]> {
  const part = { title: "unit", files, bound: UNIT_BOUND_MS };
  say(`\n== unit tests and what else this host can run: ${files.length} files`);
  const own = await runHere(part, signal);
  if (Deno.version.deno === OLDEST_DENO) return [own];
  say(`\n== the same on Deno ${OLDEST_DENO}, the oldest supported; plain successes are left out`);
  return [own, await runOnOldest(part, signal)];
}

async function runGuests(
  files: readonly string[],
  kvm: HostKvm,
  signal: AbortSignal,
): Promise<Part[]> {
  const part = { title: "linux", files, bound: LINUX_BOUND_MS };
  say(`\n== guests that need a full KVM, ${kvm.kind === "full" ? "this host's" : "in the rig"}`);
  await fetchGuest(files, signal);
  if (kvm.kind === "full") return [await runHere(part, signal)];
  const { runInRigs } = await import("./runner/rig_host.ts");
  return await runInRigs(part, signal);
}

/** Brings what Linux tests boot into the cache: the rig has no network. Tests that miss it say so. */
async function fetchGuest(files: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await findBootFiles({ progress: say, signal });
    if (!files.includes("tests/linux/kernels_test.ts")) return;
    await fetchTestKernels({ progress: say, signal });
  } catch (error) {
    say(errorText(error));
  }
}

async function runHere(part: TestPart, signal: AbortSignal): Promise<Part> {
  using host = LocalHost.own(signal);
  return await runTests(host, part);
}

async function runOnOldest(part: TestPart, signal: AbortSignal): Promise<Part> {
  const found = await findDeno(OLDEST_DENO);
  if ("reason" in found) return skippedPart(part.title, OLDEST_DENO, found.reason);
  using host = new LocalHost(found.program, OLDEST_DENO, signal);
  return await runTests(host, { ...part, terse: true });
}

await main();
