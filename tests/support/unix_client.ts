/**
 * Clients of Unix sockets, for tests that turn an event loop by hand.
 *
 * @module
 */

import { pause } from "./pause.ts";

/** A client that collects what it is sent. */
export class UnixClient implements Disposable {
  readonly #connection: Deno.UnixConn;
  #text = "";
  #ended = false;

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
    void this.#collect();
  }

  /** Connects. */
  static async connect(path: string): Promise<UnixClient> {
    return new UnixClient(await Deno.connect({ transport: "unix", path }));
  }

  /** What has come so far. */
  get text(): string {
    return this.#text;
  }

  /** Whether the other end is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Sends a text. */
  async send(text: string): Promise<void> {
    await this.#connection.write(new TextEncoder().encode(text));
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // It was closed before.
    }
  }

  async #collect(): Promise<void> {
    const bytes = new Uint8Array(65536);
    const decoder = new TextDecoder();
    for (;;) {
      const count = await this.#connection.read(bytes).catch(() => null);
      if (count === null) break;
      this.#text += decoder.decode(bytes.subarray(0, count), { stream: true });
    }
    this.#ended = true;
  }
}

/** Turns a loop by `turn`, letting promises go on, until something is so; throws after 10 s. */
export async function turnUntil(isSo: () => boolean, turn: () => void): Promise<void> {
  for (const start = Date.now(); !isSo();) {
    if (Date.now() > start + 10_000) throw new Error("It has not come to that within 10 s");
    turn();
    await pause(1);
  }
}
