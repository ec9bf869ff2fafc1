/**
 * Vireo as a process of its own: started, handed what it needs, waited for until its machine is ready.
 *
 * @module
 */

import { ConfigError, LaunchError, VireoError } from "../base/errors.ts";
import { inheriting, openPipe } from "../host/fd.ts";
import { describeMachine, type MachineDescription, type MachineSource } from "./machine_source.ts";
import { splitWords } from "./words.ts";

/** How a machine's process is started. */
export interface LaunchOptions {
  /**
   * What starts Vireo, up to the command `run`: `["vireo"]`. This very executable where it is a compiled Vireo, else this Deno
   * with the source that this module comes from.
   */
  readonly program?: readonly [string, ...string[]];
  /** Options of `vireo run` besides the machine: `["--timeout", "30s"]`. */
  readonly options?: readonly string[];
  /**
   * Open descriptors of this process that the other one gets by the same numbers. A description names one as a path: `fd:7`.
   * They stay this process' own too.
   */
  readonly descriptors?: readonly number[];
  /** User that the process runs as, a number; needs the right to. */
  readonly user?: number;
  /** Group that it runs as, a number; needs the right to. */
  readonly group?: number;
  /** Environment variables besides this process' own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory, which paths are relative to; this process' own where absent. */
  readonly cwd?: string;
  /** Milliseconds after which a process that is not ready is killed; 60,000 where absent. */
  readonly timeout?: number;
}

/** A running Vireo. Its machine's console is on stdin and stdout, as the description says; what it says itself is on stderr. */
export class LaunchedMachine implements AsyncDisposable {
  /** Process id. */
  readonly pid: number;
  /** The guest's input, where its console or serial port has the backend "stdio". */
  readonly stdin: WritableStream<Uint8Array<ArrayBuffer>>;
  /** The guest's output; whoever does not read it stops that output, not the guest. */
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Vireo's own messages. */
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** How it ended; resolves when it has. `code` is the exit status of `vireo run`. */
  readonly ended: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;

  /**
   * A process that is ready.
   *
   * @param child the process, with all three streams piped
   * @param stderr what of its stderr nobody has taken
   */
  constructor(child: Deno.ChildProcess, stderr: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#child = child;
    this.pid = child.pid;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    this.stderr = stderr;
    this.ended = child.status;
  }

  /** Sends a signal; nothing where it has ended. */
  kill(signal: Deno.Signal = "SIGKILL"): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /**
   * Asks it to end by SIGTERM, and kills it where it has not after a while.
   *
   * @param patience milliseconds
   * @returns how it ended
   */
  async stop(patience = 10_000): Promise<Deno.CommandStatus> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), patience);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops it and lets its streams go. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Promise.allSettled([this.stdin.close(), this.stdout.cancel(), this.stderr.cancel()]);
  }
}

/**
 * Starts a Vireo process and waits until its machine is built and its guest starts.
 *
 * ```ts ignore
 * await using machine = await launch("vm.toml");
 * await machine.stdout.pipeTo(Deno.stdout.writable);
 * ```
 *
 * @param source the machine, as for {@linkcode createMachine}
 * @throws ConfigError for mistakes of an object; LaunchError with its exit status and stderr where it ends before it is ready;
 *   VireoError of kind `launch` where it is late or cannot be started
 */
export async function launch(
  source: MachineSource,
  options: LaunchOptions = {},
): Promise<LaunchedMachine> {
  const { reader, writer } = openPipe();
  using _reader = reader;
  using _writer = writer;
  const words = [...wordsOf(source), ...(options.options ?? [])];
  const child = spawn([...words, "--ready-fd", String(writer.number)], writer.number, options);
  writer.close();
  const [early, stderr] = child.stderr.tee();
  const said = new EarlyText(early);
  using late = new Late(child, options.timeout ?? 60_000);
  if (await isReady(reader.number)) {
    said.stop();
    return new LaunchedMachine(child, stderr);
  }
  await Promise.allSettled([child.stdin.close(), child.stdout.cancel()]);
  const { code } = await child.status;
  void stderr.cancel();
  if (!late.hasCome) throw new LaunchError(code, await said.all);
  throw new VireoError(
    "launch",
    `The machine was not ready after ${late.timeout} ms: ${await said.all}`,
  );
}

function spawn(
  words: readonly string[],
  writer: number,
  options: LaunchOptions,
): Deno.ChildProcess {
  const { descriptors = [], user, group, env = {}, cwd } = options;
  const [program, ...before] = options.program ?? ownProgram();
  const command = new Deno.Command(program, {
    args: [...before, "run", ...words],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { uid: user }),
    ...(group === undefined ? {} : { gid: group }),
  });
  try {
    return inheriting([...descriptors, writer], () => command.spawn());
  } catch (error) {
    throw new VireoError("launch", `Cannot start ${program}: ${String(error)}`, { cause: error });
  }
}

/** A compiled program is its own; a source is run by this Deno. */
function ownProgram(): readonly [string, ...string[]] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const [main, config] = ["../main.ts", "../../deno.json"].map((path) =>
    decodeURIComponent(new URL(path, import.meta.url).pathname)
  );
  return [Deno.execPath(), "run", "-A", "--no-check", `--config=${config}`, main ?? ""];
}

/** Waits for the line, or for the end of the last one who could write it. */
async function isReady(reader: number): Promise<boolean> {
  // Opened anew, since Deno reads no descriptor that is not its own.
  using file = await Deno.open(`/proc/self/fd/${reader}`);
  return await file.read(new Uint8Array(16)) !== null;
}

/** What a process says before it is ready. */
class EarlyText {
  /** All of it, once the process has ended. */
  readonly all: Promise<string>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader();
    this.all = this.#collect();
  }

  async #collect(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
    }
  }

  /** Lets the rest go. */
  stop(): void {
    void this.#reader.cancel();
  }
}

/** Kills a process that takes too long. */
class Late implements Disposable {
  /** Milliseconds. */
  readonly timeout: number;
  /** Whether it was killed. */
  hasCome = false;
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(child: Deno.ChildProcess, timeout: number) {
    this.timeout = timeout;
    this.#timer = setTimeout(() => {
      this.hasCome = true;
      child.kill("SIGKILL");
    }, timeout);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** A machine as words behind `vireo run`. */
function wordsOf(source: MachineSource): readonly string[] {
  if (source instanceof URL) return [decodeURIComponent(source.pathname)];
  if (typeof source === "string") return /^\s*-/.test(source) ? splitWords(source) : [source];
  if (isWords(source)) return source;
  // What is wrong with it is told here, by the names of the object.
  describeMachine(source);
  return settings(source, "").flatMap(([key, text]) => ["--set", `${key}=${text}`]);
}

function isWords(source: MachineDescription | readonly string[]): source is readonly string[] {
  return Array.isArray(source);
}

/** Every key of an object with its value as text. */
function settings(value: unknown, key: string): [key: string, text: string][] {
  if (value === undefined) return [];
  if (typeof value !== "object" || value === null) return [[key, String(value)]];
  if (!Array.isArray(value)) {
    return Object.entries(value).flatMap(([name, part]) =>
      settings(part, key === "" ? name : `${key}.${name}`)
    );
  }
  if (value.some((part) => typeof part === "object")) {
    return value.flatMap((part, index) => settings(part, `${key}[${index}]`));
  }
  if (value.some((part) => String(part).includes(","))) {
    throw new ConfigError(key, "A comma in a list cannot be handed to a process; name a file");
  }
  return [[key, value.join(",")]];
}
