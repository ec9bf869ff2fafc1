/**
 * Where `deno test` is called on this machine: with this Deno, or with another version from npm.
 *
 * @module
 */
import { type Ended, linesTo, type Outputs, runCommand } from "./command.ts";
import type { TestHost } from "./suite.ts";

/** The oldest Deno that is supported, and the one that programs are compiled with. */
export const OLDEST_DENO = "2.7.11";

/** Looking for another Deno may need the network; without one npx gives up long after this. */
const FIND_BOUND_MS = 120_000;

/** This machine with a Deno; the report is a temporary file that goes with the host. */
export class LocalHost implements TestHost, Disposable {
  readonly place = "host";
  readonly deno: string;
  readonly report: string = Deno.makeTempFileSync({ prefix: "vireo-report-", suffix: ".xml" });
  readonly #program: string;
  readonly #signal: AbortSignal;

  constructor(program: string, version: string, signal: AbortSignal) {
    this.#program = program;
    this.deno = version;
    this.#signal = signal;
  }

  /** The Deno that runs this. */
  static own(signal: AbortSignal): LocalHost {
    return new LocalHost(Deno.execPath(), Deno.version.deno, signal);
  }

  async run(
    args: readonly string[],
    bound: number,
    outputs: Outputs,
  ): Promise<Ended> {
    const signal = this.#signal;
    return await runCommand({ program: this.#program, args, bound, outputs, signal });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.report);
  }
}

/** Where another version of Deno lies, from npm's cache or registry; or why it can't be had. */
export async function findDeno(
  version: string,
): Promise<{ readonly program: string } | { readonly reason: string }> {
  const lines: string[] = [];
  try {
    const ended = await runCommand({
      program: "npx",
      args: ["-y", "--prefer-offline", `deno@${version}`, "eval", "console.log(Deno.execPath())"],
      bound: FIND_BOUND_MS,
      outputs: linesTo((line) => lines.push(line)),
    });
    const program = lines.find((line) => line.startsWith("/"));
    if (ended.code === 0 && program !== undefined) return { program };
    return { reason: ended.problem ?? lines.at(-1) ?? `npx ended with status ${ended.code}` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { reason: "npx not installed" };
    throw error;
  }
}
