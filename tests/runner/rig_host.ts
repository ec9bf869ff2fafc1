/**
 * Where Linux tests run when this machine's KVM can't: in one rig for all of them.
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
import { skippedPart, type TestHost, type TestPart } from "./suite.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** A rig that is up. L1 sees the project, Deno and the cache under this machine's paths, as they were at its start. */
export class RigHost implements TestHost {
  readonly place = "rig";
  readonly deno: string = Deno.version.deno;
  readonly report: string;
  readonly #rig: Rig;
  readonly #signal: AbortSignal;

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
      return { code: 1, problem: this.#signal.aborted ? "stopped from outside" : errorText(error) };
    } finally {
      outputs.stdout.flush();
      outputs.stderr.flush();
    }
  }

  async readReport(): Promise<string | undefined> {
    return await readIfThere(this.report);
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

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
