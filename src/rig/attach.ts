/**
 * A command in the rig as if it ran here: on our stdin, stdout, stderr and terminal, with our signals.
 *
 * @module
 */

import { errorText, stdoutText, VireoError } from "../base/errors.ts";
import { END_SIGNALS, onSignal } from "../host/signals.ts";
import type { TerminalSize } from "../host/tty.ts";
import type { RunOptions, Sink } from "./host_run.ts";
import type { RunningCommand } from "./runner.ts";

/** What starts commands in L1: a {@link Rig}, or a {@link Runner} of somebody else's. */
export interface CommandStarter {
  /** Starts a command. */
  start(command: readonly string[], options: RunOptions): RunningCommand;
}

/** How an attached command runs. */
export interface AttachOptions {
  /** Working folder, as a path in L1. */
  readonly cwd: string;
  /** Variables on top of L1's own few; `TERM` is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the command is killed and the call rejects. */
  readonly timeout?: number;
  /** Fires when the command is to have ended: output that nobody takes then is not waited for. */
  readonly deadline?: AbortSignal;
}

/** How long readers get for the last of the output of a command that was told to end, in ms. */
const PATIENCE = 1000;

/**
 * Runs a command on our own streams and gives its exit status. Where stdin and stdout are a terminal the command gets one
 * too, and ours is raw as long as it runs. SIGINT, SIGTERM and SIGHUP go to the command. A read of stdin may still be under
 * way when it ends: the caller leaves by `Deno.exit`.
 *
 * @throws VireoError `environment`, after the command's end, where our stdout did not take all of its output
 */
export async function runAttached(
  starter: CommandStarter,
  command: readonly string[],
  options: AttachOptions,
): Promise<number> {
  const onTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const stdout = new Output(Deno.stdout);
  const running = starter.start(command, {
    ...options,
    env: { TERM: Deno.env.get("TERM") ?? "dumb", ...options.env },
    stdin: Deno.stdin.readable,
    stdout: stdout.take,
    stderr: new Output(Deno.stderr).take,
    ...onTerminal ? { tty: Deno.consoleSize() } : {},
  });
  // Where nobody reads the output, nobody waits for this any more.
  running.ended.catch(() => {});
  const interrupted = new AbortController();
  using handlers = new DisposableStack();
  // While it runs they mean the command rather than us.
  for (const [signal, number] of Object.entries(END_SIGNALS) as [Deno.Signal, number][]) {
    handlers.use(onSignal(signal, () => {
      running.kill(signal);
      interrupted.abort(number);
    }));
  }
  if (onTerminal) followTerminal(handlers, (size) => running.resize(size));
  const status = await Promise.race([
    running.ended.then(({ code }) => code),
    statusWithoutReaders(running, interrupted.signal, options.deadline),
  ]);
  if (stdout.failure === undefined) return status;
  throw new VireoError("environment", stdoutText(errorText(stdout.failure)));
}

/** The status of a command that was told to end, whether or not somebody takes its output; or of the signal that came later. */
async function statusWithoutReaders(
  { exited }: RunningCommand,
  interrupted: AbortSignal,
  deadline?: AbortSignal,
): Promise<number> {
  const { code } = await exited;
  const wasTold = interrupted.aborted || deadline?.aborted === true;
  if (!wasTold) {
    await new Promise((resolve) => interrupted.addEventListener("abort", resolve));
  }
  await new Promise((resolve) => setTimeout(resolve, PATIENCE));
  return wasTold ? code : 128 + interrupted.reason;
}

function followTerminal(handlers: DisposableStack, resize: (size: TerminalSize) => void): void {
  Deno.stdin.setRaw(true);
  handlers.defer(restoreTerminal);
  handlers.use(onSignal("SIGWINCH", () => resize(Deno.consoleSize())));
}

function restoreTerminal(): void {
  try {
    Deno.stdin.setRaw(false);
  } catch {
    // The terminal is gone, which is what SIGHUP means.
  }
}

/** A stream of ours that a command's output goes to. */
class Output {
  readonly #file: { write(bytes: Uint8Array): Promise<number> };
  #failure: unknown;

  constructor(file: { write(bytes: Uint8Array): Promise<number> }) {
    this.#file = file;
  }

  /** Why it took no more, unless its reader has seen enough, which is no fault of anybody. */
  get failure(): unknown {
    return this.#failure;
  }

  readonly take: Sink = async (chunk) => {
    try {
      for (let at = 0; at < chunk.length;) at += await this.#file.write(chunk.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) this.#failure ??= error;
      throw error;
    }
  };
}
