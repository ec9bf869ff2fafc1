/**
 * A listening socket in an event loop, that serves one client at a time.
 *
 * @module
 */

import { EAGAIN, ECONNABORTED, EINTR, EPOLLIN } from "../abi/linux.ts";
import type { EventLoop } from "./event_loop.ts";
import { Fd } from "./fd.ts";
import { acceptClient } from "./unix_socket.ts";

/** What is done about clients. */
export interface ClientHandlers {
  /** One is there. The descriptor is closed when this returns: who wants to keep it duplicates it. */
  connected(client: number): void;
  /** No more clients can be taken: a positive errno. */
  failed(errno: number): void;
}

/** Takes a client, and the next one when told that it is gone; others wait in the socket's queue. */
export class ClientServer implements Disposable {
  readonly #loop: EventLoop;
  readonly #listener: number;
  readonly #handlers: ClientHandlers;
  #listens = false;

  /**
   * Takes the first client.
   *
   * @param listener a listening socket that never makes anybody wait; borrowed
   */
  constructor(loop: EventLoop, listener: number, handlers: ClientHandlers) {
    this.#loop = loop;
    this.#listener = listener;
    this.#handlers = handlers;
    this.next();
  }

  /** The client is gone. */
  next(): void {
    if (this.#listens) return;
    this.#listens = true;
    this.#loop.add(this.#listener, EPOLLIN, () => this.#accept());
  }

  /** Takes no more. */
  [Symbol.dispose](): void {
    this.#listens = false;
    this.#loop.remove(this.#listener);
  }

  #accept(): void {
    const result = acceptClient(this.#listener);
    if (result === -EAGAIN || result === -EINTR || result === -ECONNABORTED) return;
    this[Symbol.dispose]();
    if (result < 0) return this.#handlers.failed(-result);
    using client = new Fd(result);
    this.#handlers.connected(client.number);
  }
}
