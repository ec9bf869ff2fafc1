/**
 * One command in L1, seen from the host: its options, its streams, its end.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { TerminalSize } from "../host/tty.ts";
import {
  decodeCredit,
  decodeText,
  encodeCredit,
  encodeText,
  type ExitReport,
  type Frame,
  FrameKind,
  type FrameLink,
  LastFrame,
  sendData,
  SendWindow,
  type StartRequest,
  StreamName,
} from "./frame.ts";

/** Takes the next bytes of an output; the command is held up as long as the returned promise is. */
export type Sink = (chunk: Uint8Array) => void | Promise<void>;

/** How a command runs in L1. */
export interface RunOptions {
  /** Working folder, as a path in L1; the project and every mount have their host's paths there. */
  readonly cwd: string;
  /** Variables on top of L1's own few. */
  readonly env?: Readonly<Record<string, string>>;
  /** Run it on a terminal of this size: stdout carries both outputs then. */
  readonly tty?: TerminalSize;
  /** What it reads; nothing (/dev/null) if absent. Its reader is let go when the command ends, and not cancelled. */
  readonly stdin?: ReadableStream<Uint8Array>;
  /** Takes stdout. One that throws closes the pipe, as a reader that went away does. */
  readonly stdout: Sink;
  /** Takes stderr. */
  readonly stderr: Sink;
  /** Kills the command; the run then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds after which the command is killed and the run rejects. */
  readonly timeout?: number;
}

/** The host's side of one run. Made before Start is sent: the run's frames may come at once. */
export class HostRun {
  readonly #link: FrameLink;
  readonly #id: number;
  readonly #options: RunOptions;
  readonly #window = new SendWindow();
  readonly #exited = Promise.withResolvers<ExitReport>();
  readonly #ended = Promise.withResolvers<ExitReport>();
  readonly #last = new LastFrame();
  readonly #outputs = new Map<number, Promise<void>>();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(link: FrameLink, id: number, options: RunOptions) {
    this.#link = link;
    this.#id = id;
    this.#options = options;
    if (options.timeout !== undefined) {
      const { timeout } = options;
      this.#timer = setTimeout(() => this.#giveUp(timeoutError(timeout)), timeout);
    }
    options.signal?.addEventListener("abort", this.#abort);
    // Most wait for the output too, and hear of a failure there.
    this.#exited.promise.catch(() => {});
  }

  get exited(): Promise<ExitReport> {
    return this.#exited.promise;
  }

  get ended(): Promise<ExitReport> {
    return this.#ended.promise;
  }

  kill(signal: Deno.Signal): void {
    this.#send(FrameKind.Signal, encodeText(signal));
  }

  resize(size: TerminalSize): void {
    this.#send(FrameKind.Resize, encodeText(JSON.stringify(size)));
  }

  fail(error: unknown): void {
    this.#settle();
    this.#exited.reject(error);
    this.#ended.reject(error);
  }

  /** Sends the command, then what it reads. */
  begin(command: readonly string[]): void {
    const { cwd, env, tty, stdin } = this.#options;
    const request: StartRequest = { command, cwd, env: env ?? {}, tty, stdin: stdin !== undefined };
    this.#send(FrameKind.Start, encodeText(JSON.stringify(request)));
    if (stdin) void this.#feed(stdin);
    if (this.#options.signal?.aborted) this.#abort();
  }

  /** Sends stdin until its end, the command's, or the command's lack of interest. */
  async #feed(stdin: ReadableStream<Uint8Array>): Promise<void> {
    const reader = this.#reader = stdin.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const to = { run: this.#id, stream: StreamName.Stdin, bytes: value };
        if (!await sendData(this.#link, this.#window, to)) return;
      }
      this.#send(FrameKind.End, Uint8Array.of(StreamName.Stdin));
    } catch {
      // Let go because the command has ended, or unreadable: either way no more input.
      this.#send(FrameKind.End, Uint8Array.of(StreamName.Stdin));
    }
  }

  handle(frame: Frame): void {
    const stream = frame.payload[0] ?? 0;
    switch (frame.kind) {
      case FrameKind.Data:
        this.#output(stream, frame.payload.subarray(1));
        break;
      case FrameKind.Credit:
        this.#window.open(decodeCredit(frame.payload));
        break;
      case FrameKind.Close:
        this.#window.close();
        break;
      case FrameKind.Exit:
        this.#exited.resolve(JSON.parse(decodeText(frame.payload)));
        break;
      case FrameKind.Failed:
        this.fail(new VireoError("environment", decodeText(frame.payload)));
        break;
    }
    if (this.#last.is(frame)) void this.#finish();
  }

  readonly #abort = (): void => this.#giveUp(this.#options.signal?.reason);

  #giveUp(error: unknown): void {
    this.kill("SIGKILL");
    // Nobody opens the windows any more: the agent is not to wait for them.
    this.#send(FrameKind.Close, Uint8Array.of(StreamName.Stdout));
    this.#send(FrameKind.Close, Uint8Array.of(StreamName.Stderr));
    this.fail(error);
  }

  #output(stream: number, bytes: Uint8Array): void {
    const before = this.#outputs.get(stream) ?? Promise.resolve();
    this.#outputs.set(stream, before.then(() => this.#deliver(stream, bytes)));
  }

  async #deliver(stream: number, bytes: Uint8Array): Promise<void> {
    const sink = stream === StreamName.Stderr ? this.#options.stderr : this.#options.stdout;
    try {
      await sink(bytes);
      this.#send(FrameKind.Credit, encodeCredit(stream, bytes.length));
    } catch {
      this.#send(FrameKind.Close, Uint8Array.of(stream));
    }
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#outputs.values());
    this.#settle();
    this.#ended.resolve(this.#exited.promise);
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#window.close();
    this.#reader?.releaseLock();
  }

  #send(kind: number, payload: Uint8Array): void {
    void this.#link.send(this.#id, kind, payload);
  }
}

function timeoutError(timeout: number): VireoError {
  return new VireoError("environment", `Command in the rig killed: no end after ${timeout} ms`);
}
