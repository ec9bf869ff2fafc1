/**
 * One direction of a device's host end: a stream that an event loop waits for while its device wants to read or write.
 *
 * @module
 */

import { EBADF } from "../abi/linux.ts";
import type { EventLoop } from "./event_loop.ts";
import type { Bytes } from "./file.ts";
import { SharedStream, type StreamMode } from "./tty.ts";

/** A {@linkcode SharedStream} in an {@linkcode EventLoop}; closed until {@linkcode LoopStream.open}, and again after its end. */
export class LoopStream {
  readonly #loop: EventLoop;
  readonly #event: number;
  readonly #onReady: () => void;
  #stream: SharedStream | undefined;
  #waits = false;

  /**
   * @param event `EPOLLIN` where it is read, `EPOLLOUT` where it is written
   * @param onReady called while it is waited for, as long as it is ready
   */
  constructor(loop: EventLoop, event: number, onReady: () => void) {
    this.#loop = loop;
    this.#event = event;
    this.#onReady = onReady;
  }

  /**
   * Opens a closed one on what `fd` is open on, without waiting for it; see {@linkcode SharedStream.of}.
   *
   * @param fd borrowed; none where it is undefined or negative
   * @throws SystemError where the descriptor can't be looked at or duplicated
   */
  open(fd: number | undefined): void {
    if (fd !== undefined && fd >= 0) this.#stream = SharedStream.of(fd);
  }

  /** Whether there is something to read from or to write to. */
  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  /** How it is kept from blocking; undefined while it is closed. */
  get mode(): StreamMode | undefined {
    return this.#stream?.mode;
  }

  /** Whether the loop waits for it. */
  get waits(): boolean {
    return this.#waits;
  }

  /**
   * Has the loop wait for it, or no longer; a closed one never. A descriptor that isn't waited for is out of the loop: epoll
   * reports a hang-up even to those who ask for nothing.
   */
  wait(wanted: boolean): void {
    if (this.#stream === undefined || this.#waits === wanted) return;
    this.#waits = wanted;
    if (wanted) this.#loop.add(this.#stream.fd, this.#event, this.#onReady);
    else this.#loop.remove(this.#stream.fd);
  }

  /** Reads up to `bytes.length`: the count, 0 at the end, or a negative errno, `-EAGAIN` when there is nothing yet. */
  read(bytes: Bytes): number {
    return this.#stream?.read(bytes) ?? -EBADF;
  }

  /** Writes up to `length` bytes: the count, or a negative errno, `-EAGAIN` when nobody reads. */
  write(bytes: Bytes, length: number = bytes.length): number {
    return this.#stream?.write(bytes, length) ?? -EBADF;
  }

  /** Waits no more, and closes our own descriptor. */
  close(): void {
    this.wait(false);
    this.#stream?.[Symbol.dispose]();
    this.#stream = undefined;
  }
}
