/**
 * Descriptors with an owner.
 *
 * @module
 */

import {
  EACCES,
  EAGAIN,
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EINVAL,
  F_DUPFD_CLOEXEC,
  F_GETFL,
  F_SETFD,
  FD_CLOEXEC,
  MFD_CLOEXEC,
  O_ACCMODE,
  O_CLOEXEC,
  O_DIRECT,
  O_RDWR,
} from "../abi/linux.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import {
  check,
  closingCalls,
  cString,
  descriptorFlagCalls,
  errno,
  memoryFileCalls,
  openingCalls,
  pipeCalls,
  readingCalls,
  writingCalls,
} from "./libc.ts";

const CLOSED = -1;

/** A descriptor that closes when its owner lets go: with `using`, or by `close`. */
export class Fd implements Disposable {
  #number: number;

  /**
   * A descriptor and its owner.
   *
   * @param number an open descriptor, owned by this object from now on
   */
  constructor(number: number) {
    this.#number = number;
  }

  /**
   * Opens a path, close-on-exec always.
   *
   * @param path as `open` takes it
   * @param flags `O_*` of abi/linux.ts
   * @param mode permissions of a file that this call creates
   */
  static open(path: string, flags: number, mode = 0o600): Fd {
    const result = openPath(path, flags | O_CLOEXEC, mode);
    return new Fd(check("open", result, `Cannot open "${path}"`));
  }

  /** An anonymous file in memory. */
  static memory(name: string): Fd {
    const result = memoryFileCalls().memfd_create(cString(name), MFD_CLOEXEC);
    if (result < 0) throw new SystemError("memfd_create", errno[0] ?? 0, `Cannot create ${name}`);
    return new Fd(result);
  }

  /** The descriptor's number; throws with kind `closed` once it is closed or released. */
  get number(): number {
    if (this.#number < 0) throw new VireoError("closed", "Cannot use a descriptor after its close");
    return this.#number;
  }

  /** Whether it is closed or released. */
  get closed(): boolean {
    return this.#number < 0;
  }

  /** A second descriptor for the same open file. */
  duplicate(): Fd {
    const result = descriptorFlagCalls().fcntl(this.number, F_DUPFD_CLOEXEC, 0);
    if (result < 0) throw new SystemError("fcntl(F_DUPFD_CLOEXEC)", errno[0] ?? 0);
    return new Fd(result);
  }

  /** Gives the number to somebody else, who closes it from now on. */
  release(): number {
    const number = this.number;
    this.#number = CLOSED;
    return number;
  }

  /** The same descriptor under a new owner; this one is closed afterwards. */
  move(): Fd {
    return new Fd(this.release());
  }

  /** Closes it; a second time does nothing. */
  close(): void {
    if (this.#number < 0) return;
    const number = this.#number;
    this.#number = CLOSED;
    closeNumber(number);
  }

  /** Closes it, as {@linkcode Fd.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * `open` by number: a descriptor or a negative errno. `/dev/fd/7` is a duplicate of descriptor 7 of this process.
 *
 * @param mode permissions of a file that this call creates
 */
export function openPath(path: string, flags: number, mode = 0): number {
  const [, descriptor] = /^\/dev\/fd\/(\d+)$/.exec(path) ?? [];
  if (descriptor !== undefined) return duplicateFor(Number(descriptor), flags);
  const bytes = cString(path);
  const calls = openingCalls();
  const result = calls.open(bytes, flags, mode);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * A second descriptor for what this process was started with: unlike a second opening by `/proc/self/fd`, it needs no right to
 * the file, and takes sockets too.
 */
function duplicateFor(descriptor: number, flags: number): number {
  const calls = descriptorFlagCalls();
  const has = calls.fcntl(descriptor, F_GETFL, 0);
  if (has < 0) return -(errno[0] ?? 0);
  const [wanted, given] = [flags & O_ACCMODE, has & O_ACCMODE];
  if (wanted !== given && given !== O_RDWR) return -EACCES;
  if ((flags & O_DIRECT) > (has & O_DIRECT)) return -EINVAL;
  const result = calls.fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Whether this process has a descriptor of that number. */
export function isOpen(descriptor: number): boolean {
  return descriptorFlagCalls().fcntl(descriptor, F_GETFL, 0) >= 0;
}

/** Does work during which processes that are started inherit some descriptors, by the same numbers. */
export function inheriting<T>(descriptors: readonly number[], work: () => T): T {
  const calls = descriptorFlagCalls();
  const set = (flag: number) => {
    for (const descriptor of descriptors) {
      if (calls.fcntl(descriptor, F_SETFD, flag) >= 0) continue;
      throw new SystemError(
        "fcntl(F_SETFD)",
        errno[0] ?? 0,
        `Cannot hand descriptor ${descriptor} on`,
      );
    }
  };
  try {
    set(0);
    return work();
  } finally {
    set(FD_CLOEXEC);
  }
}

/** The two ends of a new pipe, close-on-exec. */
export function openPipe(): { readonly reader: Fd; readonly writer: Fd } {
  const ends = new Int32Array(2);
  const result = pipeCalls().pipe2(ends, O_CLOEXEC);
  if (result < 0) throw new SystemError("pipe2", errno[0] ?? 0, "Cannot make a pipe");
  return { reader: new Fd(ends[0] ?? CLOSED), writer: new Fd(ends[1] ?? CLOSED) };
}

/** `close` by number: Linux always lets go of it, so there is no result to look at. */
export function closeNumber(number: number): void {
  closingCalls().close(number);
}

const ONE = new BigUint64Array([1n]);
const counter = new Uint32Array(2);

/**
 * A counter in the kernel that wakes whoever polls it: signalled by devices and vCPUs, read by an event loop, or handed to KVM
 * as an irqfd or ioeventfd. Its number is valid in every isolate of the process.
 */
export class EventFd implements Disposable {
  readonly #fd: Fd;
  readonly #owned: boolean;

  /**
   * An eventfd that is there.
   *
   * @param fd an eventfd
   * @param owned whether dispose closes it
   */
  constructor(fd: Fd, owned: boolean) {
    this.#fd = fd;
    this.#owned = owned;
  }

  /**
   * A new one, close-on-exec and nonblocking unless `flags` says otherwise.
   *
   * @param flags `EFD_*` of abi/linux.ts
   */
  static create(flags = EFD_NONBLOCK): EventFd {
    const calls = openingCalls();
    const result = calls.eventfd(0, flags | EFD_CLOEXEC);
    if (result < 0) throw new SystemError("eventfd", errno[0] ?? 0, "Cannot create an eventfd");
    return new EventFd(new Fd(result), true);
  }

  /** One that somebody else owns and closes: its number came from another isolate. */
  static borrow(number: number): EventFd {
    return new EventFd(new Fd(number), false);
  }

  /** The descriptor's number; throws with kind `closed` after close. */
  get number(): number {
    return this.#fd.number;
  }

  /** Adds one to the counter. No allocation, and cheap enough for every interrupt and notification. */
  signal(): void {
    const result = writingCalls().write(this.#fd.number, ONE, 8);
    if (result < 0) this.#refused(errno[0] ?? 0);
  }

  /**
   * Takes the count and sets it back to zero; 0 where it was zero. One made without `EFD_NONBLOCK` waits for the first signal
   * instead.
   */
  read(): number {
    const result = readingCalls().read(this.#fd.number, counter, 8);
    if (result < 0) return this.#refused(errno[0] ?? 0);
    return (counter[0] ?? 0) + (counter[1] ?? 0) * 2 ** 32;
  }

  /** EAGAIN means that the counter is at an end of its range, which is what was wanted. */
  #refused(error: number): number {
    if (error !== EAGAIN) {
      throw new SystemError("eventfd", error, `Cannot use eventfd ${this.#fd.number}`);
    }
    return 0;
  }

  /** Closes it where it is owned. */
  [Symbol.dispose](): void {
    if (this.#owned) this.#fd.close();
    else if (!this.#fd.closed) this.#fd.release();
  }
}
