/**
 * One epoll for everything that an I/O worker waits for: notifications of the guest, host descriptors, timers, and the two
 * reserved eventfds by which other isolates reach a worker that gets no messages.
 *
 * @module
 */

import {
  CLOCK_MONOTONIC,
  EINTR,
  ENOENT,
  EPERM,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_EVENT_SIZE,
  EpollEvent,
  EPOLLIN,
  Itimerspec,
  TFD_CLOEXEC,
  TFD_NONBLOCK,
  Timespec,
} from "../abi/linux.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { EventFd, Fd } from "./fd.ts";
import { read } from "./file.ts";
import { check, epollCalls, epollWaitingCalls, errno, timerCalls } from "./libc.ts";

/** Called with the `EPOLL*` bits that are up. It drains its descriptor, for events are level-triggered unless asked otherwise. */
export type EventHandler = (events: number) => void;

/** What a loop needs from its worker. */
export interface EventLoopOptions {
  /** Signalled by another isolate: the loop ends after the events at hand. */
  readonly stop: EventFd;
  /** Signalled by another isolate: `onPause` is called between two events, and the loop goes on when it returns. */
  readonly pause?: EventFd;
  /** Quiesces the worker's devices and waits until they may go on. */
  readonly onPause?: () => void;
  /** Gets what a handler threw, with its descriptor and {@linkcode EventLoop.as} whom it was added; the loop goes on. */
  readonly onError: (error: unknown, fd: number, owner: string) => void;
}

/** Events fetched by one call. */
const BATCH = 64;

/** One descriptor's entry; `generation` tells it from an earlier one of the same number. */
interface Registration {
  readonly handler: EventHandler;
  readonly generation: number;
  readonly events: number;
  /** Epoll refuses regular files and /dev/null, which are always ready. */
  readonly alwaysReady: boolean;
  readonly owner: string;
}

/** Waits for descriptors and calls their handlers, one at a time, in one isolate. */
export class EventLoop implements Disposable {
  readonly #epoll: Fd;
  readonly #options: EventLoopOptions;
  readonly #registrations: (Registration | undefined)[] = [];
  readonly #alwaysReady: number[] = [];
  readonly #events = new Uint8Array(BATCH * EPOLL_EVENT_SIZE);
  readonly #eventView = new DataView(this.#events.buffer);
  readonly #change = new Uint8Array(EPOLL_EVENT_SIZE);
  readonly #changeView = new DataView(this.#change.buffer);
  #generation = 0;
  #stopping = false;
  /** Whose work is being done. */
  #owner = "";

  /**
   * A loop that waits for nothing yet.
   *
   * @param options the reserved eventfds and what to do about errors
   */
  constructor(options: EventLoopOptions) {
    this.#options = options;
    const result = epollCalls().epoll_create1(EPOLL_CLOEXEC);
    if (result < 0) {
      throw new SystemError("epoll_create1", errno[0] ?? 0, "Cannot make an event loop");
    }
    this.#epoll = new Fd(result);
    const { stop, pause } = options;
    this.add(stop.number, EPOLLIN, () => this.#stop());
    if (pause) this.add(pause.number, EPOLLIN, () => this.#pause(pause));
  }

  /**
   * Calls `handler` whenever one of `events` is up on `fd`. A regular file or /dev/null counts as always ready.
   *
   * @param fd descriptor's number, not yet added; the caller removes it before closing it
   * @param events `EPOLL*` bits
   */
  add(fd: number, events: number, handler: EventHandler): void {
    if (this.#registrations[fd]) {
      throw new VireoError("internal", `Cannot add descriptor ${fd} twice to an event loop`);
    }
    this.#generation = (this.#generation + 1) % 2 ** 30;
    const generation = this.#generation;
    const result = this.#control(EPOLL_CTL_ADD, fd, events, generation);
    const alwaysReady = result === -EPERM;
    if (!alwaysReady) check("epoll_ctl(ADD)", result, `Cannot wait for descriptor ${fd}`);
    else this.#alwaysReady.push(fd);
    const owner = this.#owner;
    this.#registrations[fd] = { handler, generation, events, alwaysReady, owner };
  }

  /** Forgets a descriptor, events already fetched included; one that was never added is no error. */
  remove(fd: number): void {
    const registration = this.#registrations[fd];
    if (!registration) return;
    this.#registrations[fd] = undefined;
    if (registration.alwaysReady) {
      this.#alwaysReady.splice(this.#alwaysReady.indexOf(fd), 1);
      return;
    }
    const result = this.#control(EPOLL_CTL_DEL, fd, 0, 0);
    if (result !== -ENOENT) check("epoll_ctl(DEL)", result, `Cannot forget descriptor ${fd}`);
  }

  /** Does somebody's work: what is added meanwhile, and later by handlers of that, is theirs, and so are its errors. */
  as<Result>(owner: string, work: () => Result): Result {
    const before = this.#owner;
    this.#owner = owner;
    try {
      return work();
    } finally {
      this.#owner = before;
    }
  }

  /** A timer whose handler runs in this loop; disposing it removes it. */
  timer(handler: () => void): LoopTimer {
    return new LoopTimer(this, handler);
  }

  /** Handles events until the stop eventfd is signalled. */
  run(): void {
    while (!this.#stopping) this.runOnce(-1);
  }

  /**
   * Waits for one batch of events and handles it.
   *
   * @param timeout milliseconds; -1 waits without end
   * @returns events handled
   */
  runOnce(timeout: number): number {
    const wait = this.#alwaysReady.length > 0 ? 0 : timeout;
    const calls = epollWaitingCalls();
    const result = calls.epoll_wait(this.#epoll.number, this.#events, BATCH, wait);
    const count = result < 0 ? -(errno[0] ?? 0) : result;
    if (count === -EINTR) return 0;
    check("epoll_wait", count, "Cannot wait for events");
    for (let i = 0; i < count; i++) this.#dispatchEvent(i * EPOLL_EVENT_SIZE);
    return count + this.#dispatchAlwaysReady();
  }

  /** Whether the stop eventfd has been signalled. */
  get stopping(): boolean {
    return this.#stopping;
  }

  #dispatchEvent(at: number): void {
    const fd = this.#eventView.getUint32(at + EpollEvent.data_lo, true);
    const generation = this.#eventView.getUint32(at + EpollEvent.data_hi, true);
    const registration = this.#registrations[fd];
    // A handler earlier in this batch may have removed it, or closed it and added another of the same number.
    if (registration?.generation !== generation) return;
    this.#call(registration, this.#eventView.getUint32(at + EpollEvent.events, true), fd);
  }

  #dispatchAlwaysReady(): number {
    let handled = 0;
    // Backwards, because a handler may remove its own.
    for (let i = this.#alwaysReady.length - 1; i >= 0; i--) {
      const fd = this.#alwaysReady[i] ?? -1;
      const registration = this.#registrations[fd];
      if (!registration) continue;
      this.#call(registration, registration.events, fd);
      handled++;
    }
    return handled;
  }

  #call({ handler, owner }: Registration, events: number, fd: number): void {
    this.#owner = owner;
    try {
      handler(events);
    } catch (error) {
      this.#options.onError(error, fd, owner);
    } finally {
      this.#owner = "";
    }
  }

  #control(operation: number, fd: number, events: number, generation: number): number {
    this.#changeView.setUint32(EpollEvent.events, events, true);
    this.#changeView.setUint32(EpollEvent.data_lo, fd, true);
    this.#changeView.setUint32(EpollEvent.data_hi, generation, true);
    const calls = epollCalls();
    const result = calls.epoll_ctl(this.#epoll.number, operation, fd, this.#change);
    return result < 0 ? -(errno[0] ?? 0) : result;
  }

  /** The stop eventfd stays up, so that a second loop or a late `run` sees it as well. */
  #stop(): void {
    this.#stopping = true;
    this.remove(this.#options.stop.number);
  }

  #pause(pause: EventFd): void {
    pause.read();
    this.#options.onPause?.();
  }

  /** Closes the epoll; descriptors that were added stay open, for they belong to whoever added them. */
  [Symbol.dispose](): void {
    this.#epoll.close();
  }
}

/** A timer of an {@linkcode EventLoop}. */
export class LoopTimer implements Disposable {
  readonly #loop: EventLoop;
  readonly #fd: Fd;
  readonly #setting = new Uint8Array(sizeof(Itimerspec));
  readonly #view = new DataView(this.#setting.buffer);
  readonly #expirations = new Uint8Array(8);

  /**
   * A timer that is not set.
   *
   * @param loop that the handler runs in
   * @param handler called once an expiry; several that were missed make one call
   */
  constructor(loop: EventLoop, handler: () => void) {
    this.#loop = loop;
    const result = timerCalls().timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (result < 0) throw new SystemError("timerfd_create", errno[0] ?? 0, "Cannot make a timer");
    this.#fd = new Fd(result);
    loop.add(result, EPOLLIN, () => {
      // Nothing to read: it was set anew after its expiry was fetched.
      if (read(this.#fd.number, this.#expirations) > 0) handler();
    });
  }

  /**
   * Starts it anew, or stops it with 0. Allocates nothing.
   *
   * @param milliseconds until the first expiry, fractions allowed
   * @param period milliseconds between the ones after it; 0 for none
   */
  set(milliseconds: number, period = 0): void {
    this.#write(Itimerspec.it_value, milliseconds);
    this.#write(Itimerspec.it_interval, period);
    const calls = timerCalls();
    const result = calls.timerfd_settime(this.#fd.number, 0, this.#setting, null);
    if (result < 0) throw new SystemError("timerfd_settime", errno[0] ?? 0, "Cannot set a timer");
  }

  /** Seconds stay below 2³² (136 years), so the upper half of each 64-bit field is zero. */
  #write(at: number, milliseconds: number): void {
    const seconds = Math.floor(milliseconds / 1000);
    const nanoseconds = Math.floor((milliseconds - seconds * 1000) * 1e6);
    this.#view.setUint32(at + Timespec.tv_sec, seconds, true);
    this.#view.setUint32(at + Timespec.tv_nsec, nanoseconds, true);
  }

  /** Stops it and takes it out of its loop. */
  [Symbol.dispose](): void {
    if (this.#fd.closed) return;
    this.#loop.remove(this.#fd.number);
    this.#fd.close();
  }
}
