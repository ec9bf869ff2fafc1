/**
 * The wire format between a rig's host side and the agent in L1: frames of many runs over one byte stream.
 *
 * A frame is a 12-byte header (payload length, run number, kind; little-endian u32 each) and its payload. Every data
 * stream of a run has a window of {@link WINDOW} bytes that its reader opens again with `Credit`, so a stream that nobody
 * reads stops its writer and no other stream.
 *
 * @module
 */

import { viewOf } from "../base/bytes.ts";
import { VireoError } from "../base/errors.ts";
import type { TerminalSize } from "../host/tty.ts";

/** What a frame says. Host to agent unless noted; run 0 is the link itself. */
export const FrameKind = {
  /** {@link StartRequest} as JSON: start a command. */
  Start: 1,
  /** Data: stdin (host to agent), or a stream of the command (agent to host); one byte of {@link StreamName} first. */
  Data: 2,
  /** The stream whose {@link StreamName} is the only byte has ended. */
  End: 3,
  /** Either way: {@link StreamName} byte and u32: the reader has room for that many more bytes. */
  Credit: 4,
  /** Either way: the reader of the stream wants no more of it; its writer is to see a broken pipe. */
  Close: 5,
  /** Name of a signal in UTF-8, to the whole process group of the run. */
  Signal: 6,
  /** {@link TerminalSize} as JSON. */
  Resize: 7,
  /** Agent to host, {@link ExitReport} as JSON: the command has ended. The rest of its output may come after this. */
  Exit: 8,
  /** Agent to host, text: the command could not be started. */
  Failed: 9,
  /** Run 0, agent to host: the agent is up. */
  Ready: 10,
  /** Run 0: answer with Pong. */
  Ping: 11,
  /** Run 0, agent to host: its clock in ms since 1970 as decimal text. */
  Pong: 12,
  /** Run 0: set the clock forward by so many ms (decimal text), then answer with Pong. */
  AdjustClock: 13,
} as const;

/** The data streams of a run, as they are numbered on the wire and by POSIX. */
export const StreamName = { Stdin: 0, Stdout: 1, Stderr: 2 } as const;

/** Bytes that may be under way in one stream before its reader opens the window again. */
export const WINDOW = 256 * 1024;

/** Largest payload of a data frame. */
export const CHUNK = 64 * 1024;

const HEADER = 12;
const PAYLOAD_MAX = 4 * 1024 * 1024;

/** What the agent is asked to start. */
export interface StartRequest {
  /** Program and arguments; the program is looked up in `PATH`. */
  readonly command: readonly string[];
  /** Working folder in L1. */
  readonly cwd: string;
  /** Variables on top of the agent's own. */
  readonly env: Readonly<Record<string, string>>;
  /** Run it on a terminal of this size, with stdout and stderr both on it. */
  readonly tty?: TerminalSize | undefined;
  /** Whether stdin frames will follow; otherwise stdin is /dev/null. */
  readonly stdin: boolean;
}

/** How a command ended. */
export interface ExitReport {
  /** Exit status, 128+n after signal n. */
  readonly code: number;
}

/** One received frame; the payload is the receiver's own. */
export interface Frame {
  readonly run: number;
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** A byte stream in both directions: a `Deno.Conn`, or stdin and stdout taken together. */
export interface Duplex {
  /** Reads at least one byte, or gives null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes at least one byte. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Frames over a {@link Duplex}: sends whole ones in order, receives until the stream's end. */
export class FrameLink {
  readonly #duplex: Duplex;
  #writing: Promise<boolean> = Promise.resolve(true);

  /** @param duplex the byte stream; the link is its only user */
  constructor(duplex: Duplex) {
    this.#duplex = duplex;
  }

  /**
   * Sends a frame; settles once the stream took it, with false when the stream is broken, which {@link receive} tells too.
   * Frames arrive in the order of the calls.
   */
  send(run: number, kind: number, payload: Uint8Array = EMPTY): Promise<boolean> {
    const bytes = encodeFrame(run, kind, payload);
    this.#writing = this.#writing.then(() => writeAll(this.#duplex, bytes)).catch(() => false);
    return this.#writing;
  }

  /** Sends a frame whose payload is a value as JSON. */
  sendJson(run: number, kind: number, value: unknown): Promise<boolean> {
    return this.send(run, kind, encodeText(JSON.stringify(value)));
  }

  /** Calls `handle` for each frame until the stream ends or breaks. */
  async receive(handle: (frame: Frame) => void): Promise<void> {
    const splitter = new FrameSplitter();
    const buffer = new Uint8Array(CHUNK);
    for (;;) {
      const count = await this.#duplex.read(buffer);
      if (count === null) return;
      splitter.push(buffer.subarray(0, count), handle);
    }
  }
}

/** Cuts a byte stream into frames. */
export class FrameSplitter {
  #held = new Uint8Array(CHUNK + HEADER);
  #length = 0;

  /** Takes the next bytes and calls `handle` for each frame that is now whole. */
  push(bytes: Uint8Array, handle: (frame: Frame) => void): void {
    this.#append(bytes);
    let at = 0;
    for (;;) {
      const end = this.#frameEnd(at);
      if (end === undefined) break;
      handle(decodeFrame(this.#held.subarray(at, end)));
      at = end;
    }
    this.#held.copyWithin(0, at, this.#length);
    this.#length -= at;
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#held.length) {
      const larger = new Uint8Array(Math.max(needed, this.#held.length * 2));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(bytes, this.#length);
    this.#length = needed;
  }

  #frameEnd(at: number): number | undefined {
    if (this.#length - at < HEADER) return undefined;
    const length = viewOf(this.#held).getUint32(at, true);
    if (length > PAYLOAD_MAX) {
      throw new VireoError("environment", `Frame of ${length} bytes: not a rig's byte stream`);
    }
    const end = at + HEADER + length;
    return end <= this.#length ? end : undefined;
  }
}

/** Tells a run's last frame: of its Exit and the ends of its two outputs the one that comes last, or Failed. */
export class LastFrame {
  #awaited = 3;

  /** Takes note of a frame from the agent; whether none follows it. */
  is({ kind }: Frame): boolean {
    if (kind === FrameKind.Exit || kind === FrameKind.End) this.#awaited--;
    return kind === FrameKind.Failed || this.#awaited === 0;
  }
}

/** The credit that a stream's writer has left. */
export class SendWindow {
  #credit = WINDOW;
  #closed = false;
  #waiting: (() => void) | undefined;

  /** Waits for room; the number of bytes (at most `wanted`) that may be sent now, 0 once the reader has closed. */
  async take(wanted: number): Promise<number> {
    while (this.#credit === 0 && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting = resolve);
    }
    if (this.#closed) return 0;
    const taken = Math.min(wanted, this.#credit, CHUNK);
    this.#credit -= taken;
    return taken;
  }

  /** The reader has room for `bytes` more. */
  open(bytes: number): void {
    this.#credit += bytes;
    this.#wake();
  }

  /** The reader wants no more. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

/** Sends all of `bytes` as data frames of a stream, within its window; false when the reader has closed it or is gone. */
export async function sendData(
  link: FrameLink,
  window: SendWindow,
  to: { readonly run: number; readonly stream: number; readonly bytes: Uint8Array },
): Promise<boolean> {
  let at = 0;
  while (at < to.bytes.length) {
    const count = await window.take(to.bytes.length - at);
    if (count === 0) return false;
    const payload = new Uint8Array(1 + count);
    payload[0] = to.stream;
    payload.set(to.bytes.subarray(at, at + count), 1);
    if (!await link.send(to.run, FrameKind.Data, payload)) return false;
    at += count;
  }
  return true;
}

/** Payload of a Credit frame. */
export function encodeCredit(stream: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(5);
  payload[0] = stream;
  viewOf(payload).setUint32(1, bytes, true);
  return payload;
}

/** The number of bytes in a Credit frame. */
export function decodeCredit(payload: Uint8Array): number {
  return payload.length === 5 ? viewOf(payload).getUint32(1, true) : 0;
}

/** UTF-8 of a text. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Text of a UTF-8 payload. */
export function decodeText(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}

const EMPTY = new Uint8Array(0);

function encodeFrame(run: number, kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, payload.length, true);
  view.setUint32(4, run, true);
  view.setUint32(8, kind, true);
  bytes.set(payload, HEADER);
  return bytes;
}

function decodeFrame(bytes: Uint8Array): Frame {
  const view = viewOf(bytes);
  return {
    run: view.getUint32(4, true),
    kind: view.getUint32(8, true),
    payload: bytes.slice(HEADER),
  };
}

async function writeAll(duplex: Duplex, bytes: Uint8Array): Promise<true> {
  let at = 0;
  while (at < bytes.length) at += await duplex.write(bytes.subarray(at));
  return true;
}
