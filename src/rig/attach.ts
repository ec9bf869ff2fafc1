/**
 * A command in the rig as if it ran here: on our stdin, stdout, stderr and terminal, with our signals.
 *
 * @module
 */

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
 */
export async function runAttached(
  starter: CommandStarter,
  command: readonly string[],
  options: AttachOptions,
): Promise<number> {
  const onTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const running = starter.start(command, {
    ...options,
    env: { TERM: Deno.env.get("TERM") ?? "dumb", ...options.env },
    stdin: Deno.stdin.readable,
    stdout: sinkOf(Deno.stdout),
    stderr: sinkOf(Deno.stderr),
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
  return await Promise.race([
    running.ended.then(({ code }) => code),
    statusWithoutReaders(running, interrupted.signal, options.deadline),
  ]);
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

function sinkOf(file: { write(bytes: Uint8Array): Promise<number> }): Sink {
  return async (chunk) => {
    let at = 0;
    while (at < chunk.length) at += await file.write(chunk.subarray(at));
  };
}
