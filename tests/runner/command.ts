/**
 * Runs a program with its output passed on as it comes, within a bound.
 *
 * @module
 */
import { duration } from "../support/progress.ts";

/** A program to run. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which it is killed. */
  readonly bound: number;
  /** Kills it when aborted. */
  readonly signal?: AbortSignal;
  /** Where its lines go. */
  readonly outputs: Outputs;
}

/** The lines of a program's stdout and stderr. */
export interface Outputs {
  readonly stdout: LineSplitter;
  readonly stderr: LineSplitter;
}

/** Outputs that both give their lines to one function. */
export function linesTo(onLine: (line: string) => void): Outputs {
  return { stdout: new LineSplitter(onLine), stderr: new LineSplitter(onLine) };
}

/** How a program ended. */
export interface Ended {
  /** Exit status, 128+n for signal n. */
  readonly code: number;
  /** What ended it from outside: a bound, a signal. */
  readonly problem: string | undefined;
}

/** A quiet time after which {@linkcode Heartbeat} says that something still runs. */
const QUIET_MS = 30_000;
const TERM_GRACE_MS = 10_000;
/** How long outputs may stay open once the program itself has ended. */
const LEFT_OVER_MS = 2000;

/** Runs a program of this machine. */
export async function runCommand(command: Command): Promise<Ended> {
  const bound = AbortSignal.timeout(command.bound);
  const signal = AbortSignal.any([bound, ...(command.signal ? [command.signal] : [])]);
  const child = new Deno.Command(command.program, {
    args: [...command.args],
    env: { NO_COLOR: "1", ...command.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  using _killing = killWhenAborted(child, signal);
  const { stdout, stderr } = command.outputs;
  const outputs = [new Output(child.stdout, stdout), new Output(child.stderr, stderr)];
  const status = await child.status;
  await Promise.all(outputs.map((output) => output.finish()));
  return { code: status.code, problem: problemOf(status, command.bound, bound, command.signal) };
}

/** Prints, while alive, that something still runs whenever nothing was printed for a while. */
export class Heartbeat implements Disposable {
  readonly #what: () => string;
  readonly #print: (line: string) => void;
  readonly #start = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #last = performance.now();

  constructor(what: () => string, print: (line: string) => void, quiet = QUIET_MS) {
    this.#what = what;
    this.#print = print;
    this.#timer = setInterval(() => this.#tick(quiet), quiet / 4);
  }

  /** Says that something was printed. */
  beat(): void {
    this.#last = performance.now();
  }

  #tick(quiet: number): void {
    const now = performance.now();
    if (now - this.#last < quiet) return;
    this.#last = now;
    this.#print(`… ${this.#what()}: still running after ${duration(now - this.#start)}`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Splits chunks of text into lines; `flush` gives what came after the last one. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** The line that has begun and not ended yet. */
  get pending(): string {
    return this.#rest;
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    lines.forEach(this.#onLine);
  }

  flush(): void {
    if (this.#rest !== "") this.#onLine(this.#rest);
    this.#rest = "";
  }
}

/** One output of a program, read line by line until its end. */
class Output {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #lines: LineSplitter;
  readonly #done: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array>, lines: LineSplitter) {
    this.#reader = stream.getReader();
    this.#lines = lines;
    this.#done = this.#read();
  }

  /** Waits for the end; a left-over grandchild that holds the output open is not waited for. */
  async finish(): Promise<void> {
    const timer = setTimeout(() => void this.#reader.cancel(), LEFT_OVER_MS);
    await this.#done;
    clearTimeout(timer);
    this.#lines.flush();
  }

  async #read(): Promise<void> {
    for (let piece = await this.#reader.read(); !piece.done; piece = await this.#reader.read()) {
      this.#lines.push(piece.value);
    }
  }
}

function killWhenAborted(child: Deno.ChildProcess, signal: AbortSignal): Disposable {
  let hard: ReturnType<typeof setTimeout> | undefined;
  const kill = (): void => {
    tryKill(child, "SIGTERM");
    hard = setTimeout(() => tryKill(child, "SIGKILL"), TERM_GRACE_MS);
  };
  if (signal.aborted) kill();
  else signal.addEventListener("abort", kill, { once: true });
  return {
    [Symbol.dispose]: () => {
      signal.removeEventListener("abort", kill);
      clearTimeout(hard);
    },
  };
}

function tryKill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function problemOf(
  status: Deno.CommandStatus,
  milliseconds: number,
  bound: AbortSignal,
  outside: AbortSignal | undefined,
): string | undefined {
  if (outside?.aborted) return "stopped from outside";
  if (bound.aborted) return `killed after its bound of ${duration(milliseconds)}`;
  return status.signal === null ? undefined : `ended by ${status.signal}`;
}
