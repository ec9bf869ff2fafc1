/**
 * The host's end of a rig's byte stream: starts commands through the agent and carries their streams.
 *
 * @module
 */

import { errorText } from "../base/errors.ts";
import type { TerminalSize } from "../host/tty.ts";
import { type Duplex, type ExitReport, type Frame, FrameKind, FrameLink } from "./frame.ts";
import { Heartbeat } from "./heartbeat.ts";
import { HostRun, type RunOptions } from "./host_run.ts";
import { Relay } from "./relay.ts";

/** A command that was started. */
export interface RunningCommand {
  /** How it ended, as soon as it has: some of its output may not have been taken yet. */
  readonly exited: Promise<ExitReport>;
  /** How it ended, when all of its output has been taken. */
  readonly ended: Promise<ExitReport>;
  /** Sends a signal to its process group. */
  kill(signal: Deno.Signal): void;
  /** Tells its terminal a new size. */
  resize(size: TerminalSize): void;
}

/** Commands in L1, any number at a time, over one byte stream. */
export class Runner {
  readonly #link: FrameLink;
  readonly #runs = new Map<number, HostRun>();
  readonly #relays = new Map<number, Relay>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<unknown>();
  readonly #heartbeat: Heartbeat;
  #next = 1;
  #failure: unknown;

  /**
   * @param duplex byte stream to the agent
   * @param explain what to reject open runs with when the stream has ended; gets what broke it, if anything did
   */
  constructor(duplex: Duplex, explain: (cause: unknown) => unknown | Promise<unknown>) {
    this.#link = new FrameLink(duplex);
    this.#heartbeat = new Heartbeat(this.#link);
    this.#ready.promise.catch(() => {});
    void this.#receive(explain);
  }

  /** Settles when the agent is up; rejects when the stream ended before. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Settles with the reason once the stream has ended. */
  get closed(): Promise<unknown> {
    return this.#closed.promise;
  }

  /** Signs of life, and L1's clock. */
  get heartbeat(): Heartbeat {
    return this.#heartbeat;
  }

  /** Starts a command. */
  start(command: readonly string[], options: RunOptions): RunningCommand {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#next++;
    const run = new HostRun(this.#link, id, options);
    this.#runs.set(id, run);
    run.begin(command);
    const ended = run.ended.finally(() => this.#runs.delete(id));
    return {
      exited: run.exited,
      ended,
      kill: (signal) => run.kill(signal),
      resize: (size) => run.resize(size),
    };
  }

  /** Runs a command to its end. */
  async run(command: readonly string[], options: RunOptions): Promise<ExitReport> {
    return await this.start(command, options).ended;
  }

  /** Lets the frames of another {@link Runner} pass to this agent, until that one's stream ends. */
  async relay(client: Duplex): Promise<void> {
    const relay = new Relay(new FrameLink(client), this.#link, this.#relays);
    await relay.serve(() => this.#next++);
  }

  async #receive(explain: (cause: unknown) => unknown | Promise<unknown>): Promise<void> {
    let cause: unknown;
    try {
      await this.#link.receive((frame) => this.#dispatch(frame));
    } catch (error) {
      cause = error;
    }
    const failure = await explain(cause);
    this.#failure = failure;
    this.#ready.reject(failure);
    for (const run of this.#runs.values()) run.fail(failure);
    for (const [id, relay] of this.#relays) relay.fail(id, errorText(failure));
    this.#closed.resolve(failure);
  }

  #dispatch(frame: Frame): void {
    if (frame.kind === FrameKind.Ready) this.#ready.resolve();
    else if (frame.kind === FrameKind.Pong) this.#heartbeat.pong(frame.payload);
    else if (this.#relays.has(frame.run)) this.#relays.get(frame.run)?.toClient(frame);
    else this.#runs.get(frame.run)?.handle(frame);
  }
}
