/**
 * One command in L1, seen from the agent: its process group and its streams.
 *
 * @module
 */

import { Terminal } from "./agent_terminal.ts";
import {
  decodeCredit,
  decodeText,
  encodeCredit,
  type Frame,
  FrameKind,
  type FrameLink,
  sendData,
  SendWindow,
  type StartRequest,
  StreamName,
} from "./frame.ts";

/** Milliseconds without output after which a stream that outlives its command counts as at its end. */
const QUIET = 500;

/** A command that is running. Made with its Start frame: frames of its stdin may follow at once. */
export class Run {
  readonly #link: FrameLink;
  readonly #id: number;
  readonly #child: Deno.ChildProcess;
  readonly #terminal: Terminal | undefined;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #outputs: readonly Output[];

  constructor(link: FrameLink, id: number, request: StartRequest) {
    this.#link = link;
    this.#id = id;
    this.#terminal = request.tty && new Terminal(id, request.tty);
    const args = this.#terminal?.wrap(request.command) ?? [...request.command];
    this.#child = new Deno.Command("setsid", {
      args,
      cwd: request.cwd,
      env: request.env,
      stdin: request.stdin || request.tty ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (request.stdin || request.tty) this.#stdin = this.#child.stdin.getWriter();
    this.#outputs = [
      new Output({ link, run: id, stream: StreamName.Stdout, source: this.#child.stdout }),
      new Output({ link, run: id, stream: StreamName.Stderr, source: this.#child.stderr }),
    ];
  }

  /** Carries the output, and tells of the command's end when that comes, however much of the output nobody has taken yet. */
  async finish(): Promise<void> {
    const carried = Promise.all(this.#outputs.map((output) => output.carry()));
    const status = await this.#child.status;
    this.#killGroup(this.#child.pid, "SIGKILL");
    void this.#link.sendJson(this.#id, FrameKind.Exit, { code: status.code });
    this.#stdin?.abort().catch(() => {});
    const cleaning = setInterval(() => this.#outputs.forEach((o) => o.stopIfQuiet()), QUIET);
    await carried;
    clearInterval(cleaning);
    this.#terminal?.forget();
  }

  handle(frame: Frame): void {
    const output = this.#outputs[(frame.payload[0] ?? 0) - StreamName.Stdout];
    switch (frame.kind) {
      case FrameKind.Data:
        void this.#input(frame.payload.subarray(1));
        break;
      case FrameKind.End:
        void this.#inputEnd();
        break;
      case FrameKind.Credit:
        output?.open(decodeCredit(frame.payload));
        break;
      case FrameKind.Close:
        output?.close();
        break;
      case FrameKind.Signal:
        this.signal(decodeText(frame.payload) as Deno.Signal);
        break;
      case FrameKind.Resize:
        this.#terminal?.resize(JSON.parse(decodeText(frame.payload)));
        break;
    }
  }

  /** Sends a signal to the command's process group. */
  signal(signal: Deno.Signal): void {
    const inner = this.#terminal?.pid();
    if (inner !== undefined) this.#killGroup(inner, signal);
    if (inner === undefined || signal === "SIGKILL") this.#killGroup(this.#child.pid, signal);
  }

  /** Kills the command, whose host is gone. */
  abandon(): void {
    this.signal("SIGKILL");
    for (const output of this.#outputs) output.close();
  }

  #killGroup(pid: number, signal: Deno.Signal): void {
    try {
      Deno.kill(-pid, signal);
    } catch {
      // The whole group is gone already.
    }
  }

  async #input(bytes: Uint8Array): Promise<void> {
    try {
      await this.#stdin?.write(bytes);
      await this.#link.send(
        this.#id,
        FrameKind.Credit,
        encodeCredit(StreamName.Stdin, bytes.length),
      );
    } catch {
      await this.#link.send(this.#id, FrameKind.Close, Uint8Array.of(StreamName.Stdin));
    }
  }

  async #inputEnd(): Promise<void> {
    try {
      if (this.#terminal) await this.#stdin?.write(Uint8Array.of(4)); // ^D: a terminal has no end
      else await this.#stdin?.close();
    } catch {
      // The command closed it first.
    }
  }
}

/** One output of a command, on its way to the host. */
class Output {
  readonly #to: { readonly run: number; readonly stream: number };
  readonly #link: FrameLink;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #window = new SendWindow();
  /** Bytes read, and those at the last look; a stream that waits for the host's credit is not quiet. */
  #read = 0;
  #lookedAt = -1;
  #sending = false;

  constructor(
    { link, source, ...to }: {
      readonly link: FrameLink;
      readonly run: number;
      readonly stream: number;
      readonly source: ReadableStream<Uint8Array>;
    },
  ) {
    this.#to = to;
    this.#link = link;
    this.#reader = source.getReader();
  }

  /** Sends all of it, then its end. */
  async carry(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      this.#read += value.length;
      this.#sending = true;
      const taken = await sendData(this.#link, this.#window, { ...this.#to, bytes: value });
      this.#sending = false;
      if (!taken) this.#cancel();
    }
    await this.#link.send(this.#to.run, FrameKind.End, Uint8Array.of(this.#to.stream));
  }

  /** The host has room for `bytes` more. */
  open(bytes: number): void {
    this.#window.open(bytes);
  }

  /** The host wants no more: the command's next write meets a broken pipe. */
  close(): void {
    this.#window.close();
    this.#cancel();
  }

  /** Ends a stream that something outside of the process group holds open, when nothing came since the last call. */
  stopIfQuiet(): void {
    if (!this.#sending && this.#read === this.#lookedAt) this.#cancel();
    this.#lookedAt = this.#read;
  }

  #cancel(): void {
    this.#reader.cancel().catch(() => {});
  }
}
