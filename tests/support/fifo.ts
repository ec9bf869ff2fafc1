/**
 * Pipes with a name, for tests of devices that move bytes to and from the host.
 *
 * @module
 */

import { EAGAIN, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { read, write } from "../../src/host/file.ts";
import { check } from "../../src/host/libc.ts";

/** Bytes that a pipe holds. */
export const PIPE_SIZE = 65536;

/** Both ends of a pipe: one for the device, one for the test, which never waits. */
export class Fifo implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  /** The end to read from. */
  readonly reader: Fd;
  /** The end to write to. */
  readonly writer: Fd;

  constructor() {
    const path = `${this.#folder}/fifo`;
    const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
    if (!success) throw new Error("mkfifo failed");
    // Nonblocking, or it would wait for a writer.
    this.reader = Fd.open(path, O_RDONLY | O_NONBLOCK);
    this.writer = Fd.open(path, O_WRONLY | O_NONBLOCK);
  }

  /** Reads what is there, up to `limit` bytes. */
  take(limit = PIPE_SIZE): Uint8Array {
    const bytes = new Uint8Array(limit);
    const count = read(this.reader.number, bytes);
    return bytes.subarray(0, count === -EAGAIN ? 0 : check("read", count));
  }

  /** Reads what is there as text. */
  text(): string {
    return new TextDecoder().decode(this.take());
  }

  /** Writes as much as fits; gives how much that was. */
  put(bytes: Uint8Array<ArrayBuffer> | string): number {
    const what = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const count = write(this.writer.number, what);
    return count === -EAGAIN ? 0 : check("write", count);
  }

  /** Fills the pipe up to its last byte. */
  fill(): void {
    while (this.put(new Uint8Array(PIPE_SIZE)) > 0);
    while (this.put(new Uint8Array(1)) > 0);
  }

  [Symbol.dispose](): void {
    this.reader.close();
    this.writer.close();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}
