/**
 * Terminals, and streams that others share with us: stdin, stdout and stderr.
 *
 * O_NONBLOCK belongs to the open file, which the user's shell shares, so it is never set on what we were given.
 *
 * @module
 */

import {
  EAGAIN,
  EINTR,
  F_GETFL,
  O_ACCMODE,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  OPOST,
  Pollfd,
  POLLIN,
  POLLOUT,
  S_IFBLK,
  S_IFREG,
  S_IFSOCK,
  TCGETS,
  TCSETS,
  Termios,
  TIOCGPTN,
} from "../abi/linux.ts";
import { SystemError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { Fd, openPath } from "./fd.ts";
import { type Bytes, fileStatus, poll, read, receive, send, write } from "./file.ts";
import { ioctlBytes } from "./ioctl.ts";
import { descriptorFlagCalls, errno } from "./libc.ts";

/** Size of a terminal in characters. */
export interface TerminalSize {
  /** Characters in a row. */
  readonly columns: number;
  /** Rows on the screen. */
  readonly rows: number;
}

/**
 * Has a terminal take output as it is, where it would make two characters of a newline. Deno's raw mode leaves that as it was,
 * and its end restores it with the rest.
 */
export function disableOutputProcessing(fd: number): void {
  const bytes = new Uint8Array(sizeof(Termios));
  if (ioctlBytes(fd, TCGETS, bytes) < 0) return;
  const view = new DataView(bytes.buffer);
  view.setUint32(Termios.c_oflag, view.getUint32(Termios.c_oflag, true) & ~OPOST, true);
  ioctlBytes(fd, TCSETS, bytes);
}

function isPtyMaster(fd: number): boolean {
  return ioctlBytes(fd, TIOCGPTN, new Uint8Array(4)) === 0;
}

/**
 * How a stream is kept from waiting: its file opened a second time with O_NONBLOCK; a socket's own flag for each call; nothing
 * to do for files; or, where the file can't be opened again, a look at it before each call.
 */
export type StreamMode = "nonblocking" | "socket" | "file" | "polled";

/** Most bytes of one write to a polled stream: what a terminal that says it is writable takes without waiting. */
const POLLED_WRITE = 256;

/** A stream that others share with us, read and written without ever waiting. */
export class SharedStream implements Disposable {
  /** How it is kept from waiting. */
  readonly mode: StreamMode;
  readonly #fd: Fd;
  readonly #pollfd = new Uint8Array(sizeof(Pollfd));
  readonly #pollView = new DataView(this.#pollfd.buffer);

  /**
   * @param fd of our own, closed on dispose
   * @param mode that fits it
   */
  constructor(fd: Fd, mode: StreamMode) {
    this.#fd = fd;
    this.mode = mode;
    this.#pollView.setInt32(Pollfd.fd, fd.number, true);
  }

  /** A stream over what a descriptor of ours, usually 0, 1 or 2, is open on. That descriptor stays as it is. */
  static of(fd: number): SharedStream {
    const { type } = fileStatus(fd, `Cannot look at descriptor ${fd}`);
    if (type === S_IFSOCK) return new SharedStream(duplicate(fd), "socket");
    // Opened again, a file would begin at its start: it keeps its position, and never makes one wait.
    if (type === S_IFREG || type === S_IFBLK) return new SharedStream(duplicate(fd), "file");
    // Opened again, the master of a pseudo-terminal would be the master of another.
    if (isPtyMaster(fd)) return new SharedStream(duplicate(fd), "polled");
    const result = descriptorFlagCalls().fcntl(fd, F_GETFL, 0);
    if (result < 0) throw new SystemError("fcntl(F_GETFL)", errno[0] ?? 0);
    const flags = (result & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const opened = openPath(`/proc/self/fd/${fd}`, flags);
    if (opened >= 0) return new SharedStream(new Fd(opened), "nonblocking");
    return new SharedStream(duplicate(fd), "polled");
  }

  /** Descriptor to wait for in an event loop. */
  get fd(): number {
    return this.#fd.number;
  }

  /** Reads up to `bytes.length`: the count, 0 at the end, or a negative errno, `-EAGAIN` when there is nothing yet. */
  read(bytes: Bytes): number {
    if (this.mode === "socket") return receive(this.#fd.number, bytes);
    if (this.mode === "polled" && !this.#ready(POLLIN)) return -EAGAIN;
    return read(this.#fd.number, bytes);
  }

  /** Writes up to `length` bytes: the count, or a negative errno, `-EAGAIN` when nobody reads. */
  write(bytes: Bytes, length: number = bytes.length): number {
    if (this.mode === "socket") return send(this.#fd.number, bytes, length);
    if (this.mode !== "polled") return write(this.#fd.number, bytes, length);
    if (!this.#ready(POLLOUT)) return -EAGAIN;
    return write(this.#fd.number, bytes, Math.min(length, POLLED_WRITE));
  }

  /**
   * Writes all of it, blocking this isolate for as long as somebody reads.
   *
   * @param patience ms for which nobody may read before the rest is given up
   * @returns how many bytes were taken
   */
  writeAll(bytes: Bytes, patience: number): number {
    let written = 0;
    while (written < bytes.length) {
      const result = this.write(bytes.subarray(written));
      if (result >= 0) written += result;
      else if (result === -EAGAIN ? !this.#ready(POLLOUT, patience) : result !== -EINTR) break;
    }
    return written;
  }

  #ready(events: number, timeout: number = 0): boolean {
    this.#pollView.setInt16(Pollfd.events, events, true);
    return poll(this.#pollfd, 1, timeout) > 0;
  }

  /** Closes our own descriptor, not the one it was made from. */
  [Symbol.dispose](): void {
    this.#fd.close();
  }
}

function duplicate(fd: number): Fd {
  const original = new Fd(fd);
  try {
    return original.duplicate();
  } finally {
    original.release();
  }
}
