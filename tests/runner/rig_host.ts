/**
 * Where Linux tests run when this machine's KVM can't: in rigs, each of which takes the next file when it is done with one.
 *
 * @module
 */
import { errorText, VireoError } from "../../src/base/errors.ts";
import { defaultCacheFolder, makeFolder } from "../../src/boot/cache_folder.ts";
import { Rig } from "../../src/rig/rig.ts";
import { fromFileUrl } from "../../src/std/path.ts";
import { duration, say } from "../support/progress.ts";
import type { Ended, Outputs } from "./command.ts";
import type { Part } from "./result.ts";
import { runTests, skippedPart, type TestHost, type TestPart } from "./suite.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** A rig has one processor, and no more than two fit into the memory of a small machine. */
const RIGS_MAX = 2;

/** Runs the files in as many rigs as this machine has processors for; no file is lost with a rig. */
export async function runInRigs(part: TestPart, signal: AbortSignal): Promise<Part[]> {
  const files = largestFirst(part.files);
  const count = Math.min(RIGS_MAX, navigator.hardwareConcurrency, files.length);
  const parts = await Promise.all(Array.from({ length: count }, (_, index) => {
    const name = `${part.title} ${index + 1}`;
    const share = count === 1 ? part : { ...part, title: name, prefix: `${name}| ` };
    return RigHost.use(share, signal, (host) => runNext(host, share, files));
  }));
  const [first] = parts;
  // Where there is no failure no rig could be had, which is told.
  if (first === undefined || parts.every(({ problems }) => problems.length === 0)) return parts;
  const left = files.map((file) => `${file}: no rig was left to run it`);
  return [{ ...first, problems: [...first.problems, ...left] }, ...parts.slice(1)];
}

/** What is large tends to take long, and what takes long should not be what one rig does alone in the end. */
function largestFirst(files: readonly string[]): string[] {
  const size = (file: string) => Deno.statSync(`${ROOT}/${file}`).size;
  return files.toSorted((one, other) => size(other) - size(one));
}

/** Takes files off the list, one after another, for as long as the rig lives. */
async function runNext(host: RigHost, part: TestPart, files: string[]): Promise<Part> {
  const done: Part[] = [];
  while (!host.isLost) {
    const file = files.shift();
    if (file === undefined) break;
    done.push(await runTests(host, { ...part, files: [file] }));
  }
  return {
    title: part.title,
    place: host.place,
    deno: host.deno,
    tests: done.flatMap(({ tests }) => tests),
    skipped: done.flatMap(({ skipped }) => skipped),
    problems: done.flatMap(({ problems }) => problems),
  };
}

/** A rig that is up. L1 sees the project, Deno and the cache under this machine's paths, as they were at its start. */
export class RigHost implements TestHost {
  readonly place = "rig";
  readonly deno: string = Deno.version.deno;
  readonly report: string;
  readonly #rig: Rig;
  readonly #signal: AbortSignal;
  #isLost = false;

  private constructor(rig: Rig, folder: string, signal: AbortSignal) {
    this.#rig = rig;
    this.report = `${folder}/report.xml`;
    this.#signal = signal;
  }

  /**
   * Starts a rig, gives it to `body` and ends it. Where it can't be had because this user may not
   * install what it needs, the part is skipped with the reason; any other failure is one.
   */
  static async use(
    part: TestPart,
    signal: AbortSignal,
    body: (host: RigHost) => Promise<Part>,
  ): Promise<Part> {
    const folder = await Deno.makeTempDir({ prefix: "vireo-rig-report-" });
    try {
      await using rig = await startRig(folder, signal);
      return await body(new RigHost(rig, folder, signal));
    } catch (error) {
      return withoutRig(part, error);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Whether nothing more can be run there. */
  get isLost(): boolean {
    return this.#isLost;
  }

  async run(
    args: readonly string[],
    bound: number,
    outputs: Outputs,
  ): Promise<Ended> {
    try {
      const { code } = await this.#rig.run([Deno.execPath(), ...args], {
        cwd: ROOT,
        env: { NO_COLOR: "1" },
        stdout: (chunk) => outputs.stdout.push(chunk),
        stderr: (chunk) => outputs.stderr.push(chunk),
        signal: this.#signal,
        timeout: bound,
      });
      return { code, problem: undefined };
    } catch (error) {
      this.#isLost = true;
      return { code: 1, problem: this.#signal.aborted ? "stopped from outside" : errorText(error) };
    } finally {
      outputs.stdout.flush();
      outputs.stderr.flush();
    }
  }
}

async function startRig(folder: string, signal: AbortSignal): Promise<Rig> {
  const start = performance.now();
  const cache = defaultCacheFolder();
  await makeFolder(cache);
  const rig = await Rig.start({
    project: ROOT,
    progress: say,
    signal,
    // Cached there, since nothing of it may change below the tests: a third less time for each of Deno's isolates.
    mounts: [
      { path: ROOT, mode: "scratch" },
      { path: folder, mode: "shared" },
      { path: cache, mode: "scratch" },
    ],
  });
  say(`The rig is up after ${duration(performance.now() - start)}`);
  return rig;
}

function withoutRig(part: TestPart, error: unknown): Part {
  const reason = `no rig: ${errorText(error)}`;
  const mayInstall = Deno.uid() === 0;
  if (!mayInstall && error instanceof VireoError && error.kind === "environment") {
    return skippedPart(part.title, Deno.version.deno, reason);
  }
  const { title } = part;
  const deno = Deno.version.deno;
  return { title, place: "rig", deno, tests: [], skipped: [], problems: [reason] };
}
