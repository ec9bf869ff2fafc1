/** The program's `boot` as a user runs it: a process of its own. */

import { duration, progress } from "../support/progress.ts";

const ROOT = new URL("../../", import.meta.url);

/** The command line that starts `boot` on this system's KVM, up to its options. */
export const BOOT: readonly [string, ...string[]] = [
  Deno.execPath(),
  ...["run", "-A", "--no-check", new URL("src/main.ts", ROOT).pathname, "boot", "--rig=never"],
];

/** Longest that any boot may take, in ms: the rig on a busy machine is slow. */
const BOUND = 400_000;

/** Longest that a text is waited for, in ms. */
const PATIENCE = 200_000;

/** How a boot ended and what it said. */
export interface BootResult {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: Uint8Array<ArrayBuffer>;
}

/** Options of {@linkcode boot}. */
export interface BootOptions {
  /** What it reads; nothing, /dev/null, where absent. */
  readonly stdin?: Uint8Array<ArrayBuffer> | string;
}

/** Runs `boot` to its end. */
export async function boot(
  args: readonly string[],
  { stdin }: BootOptions = {},
): Promise<BootResult> {
  await using running = new RunningBoot(args, { stdin: stdin === undefined ? "null" : "piped" });
  if (stdin !== undefined) await running.type(stdin, { end: true });
  return await running.end();
}

/**
 * Runs `boot` to its end with its streams elsewhere.
 *
 * @param streams redirections of a shell: `>/dev/full`
 * @param command what starts it
 */
export async function redirectedBoot(
  streams: string,
  args: readonly string[],
  command: readonly [string, ...string[]] = BOOT,
): Promise<{ readonly code: number; readonly said: string }> {
  const inShell = ["sh", "-c", `"$@" ${streams}`, "sh", ...command] as const;
  await using running = new RunningBoot(args, { command: inShell, stdin: "null" });
  const { code, stderr } = await running.end();
  return { code, said: new TextDecoder().decode(stderr) };
}

/** A `boot` that is running. */
export class RunningBoot implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #started = performance.now();
  readonly #stdout: Collected | undefined;
  readonly #stderr: Collected;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #bound: ReturnType<typeof setTimeout>;

  /**
   * Starts it.
   *
   * @param args options of `boot`
   * @param how `stdin`: whether {@linkcode RunningBoot.type} is used; `stdout`: `kept` leaves it in its pipe, which nobody reads;
   * `command`: what to start instead of {@linkcode BOOT}
   */
  constructor(
    args: readonly string[],
    how: {
      readonly stdin?: "piped" | "null";
      readonly stdout?: "read" | "kept";
      readonly command?: readonly [string, ...string[]];
    } = {},
  ) {
    const { stdin = "piped", stdout = "read", command: [program, ...before] = BOOT } = how;
    const options = { stdin, stdout: "piped", stderr: "piped" } as const;
    this.#child = new Deno.Command(program, { args: [...before, ...args], ...options }).spawn();
    if (stdin === "piped") this.#input = this.#child.stdin.getWriter();
    if (stdout === "read") this.#stdout = new Collected(this.#child.stdout);
    this.#stderr = new Collected(this.#child.stderr);
    this.#bound = setTimeout(() => {
      progress(`boot has not ended within ${duration(BOUND)}`);
      this.kill("SIGKILL");
    }, BOUND);
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What stdout is where nobody reads it. */
  get unread(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#child.stdout;
  }

  /** Sends input, and with `end` its end. */
  async type(input: Uint8Array<ArrayBuffer> | string, { end = false } = {}): Promise<void> {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    try {
      await this.#input?.write(bytes);
      if (end) await this.#input?.close();
    } catch (error) {
      // Boot has ended: what it says tells more.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  /** Waits until stdout holds a text, from where the last wait ended on; gives the match. */
  async sees(text: string | RegExp): Promise<readonly string[]> {
    if (this.#stdout === undefined) throw new Error("This boot's stdout is kept unread");
    return await this.#stdout.until(text, () => this.#stderr.text);
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Waits for its end. */
  async end(): Promise<BootResult> {
    const { code } = await this.#child.status;
    clearTimeout(this.#bound);
    const took = duration(performance.now() - this.#started);
    progress(`boot: ${took}, exit code ${code}`);
    return {
      code,
      stdout: await this.#stdout?.all() ?? new Uint8Array(),
      stderr: await this.#stderr.all(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#bound);
    this.kill("SIGKILL");
    await this.#child.status;
    await this.#input?.abort().catch(() => {});
    await (this.#stdout?.all() ?? this.#child.stdout.cancel().catch(() => {}));
    await this.#stderr.all();
  }
}

/** A stream's bytes, as they come. */
class Collected {
  readonly #chunks: Uint8Array[] = [];
  readonly #done: Promise<void>;
  #ended = false;
  #late = false;
  #news = Promise.withResolvers<void>();
  /** Length of the text that waits have been through. */
  #passed = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#done = this.#collect(stream);
  }

  get text(): string {
    const decoder = new TextDecoder();
    return this.#chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("");
  }

  async all(): Promise<Uint8Array<ArrayBuffer>> {
    await this.#done;
    return await new Response(new Blob(this.#chunks as BlobPart[])).bytes();
  }

  async until(wanted: string | RegExp, other: () => string): Promise<readonly string[]> {
    const pattern = typeof wanted === "string" ? new RegExp(RegExp.escape(wanted)) : wanted;
    const late = setTimeout(() => this.#giveUp(), PATIENCE);
    using _timer = { [Symbol.dispose]: () => clearTimeout(late) };
    for (;;) {
      const found = pattern.exec(this.text.slice(this.#passed));
      if (found !== null) {
        this.#passed += found.index + found[0].length;
        return found;
      }
      if (this.#ended || this.#late) {
        throw new Error(`No ${pattern} in:\n${this.text}\nBeside it:\n${other()}`);
      }
      await this.#news.promise;
    }
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream) {
      this.#chunks.push(chunk);
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  #giveUp(): void {
    this.#late = true;
    this.#wake();
  }

  #wake(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
