/**
 * The host's end of a console or serial port: a pair of descriptors, or a socket's clients, one after another.
 *
 * @module
 */

import { EPOLLIN, EPOLLOUT } from "../abi/linux.ts";
import { errnoText } from "../base/errors.ts";
import { ClientServer } from "./client_server.ts";
import type { EventLoop } from "./event_loop.ts";
import { LoopStream } from "./loop_stream.ts";

/** What the device does about its backend. */
export interface CharacterBackendHandlers {
  /** The input, while it is waited for, has something or is at its end. */
  readable(): void;
  /** The output, while it is waited for, takes something or has failed. */
  writable(): void;
  /** A client is there; neither stream is waited for yet. */
  connected(): void;
  /** Something went wrong that the user should hear of. */
  warn(message: string): void;
}

/** The streams that a device moves characters from and to. */
export class CharacterBackend {
  /** Where the guest's input comes from. */
  readonly input: LoopStream;
  /** Where the guest's output goes to. */
  readonly output: LoopStream;
  readonly #loop: EventLoop;
  readonly #handlers: CharacterBackendHandlers;
  #clients: ClientServer | undefined;

  /** Both streams are closed at first. */
  constructor(loop: EventLoop, handlers: CharacterBackendHandlers) {
    this.#loop = loop;
    this.#handlers = handlers;
    this.input = new LoopStream(loop, EPOLLIN, () => handlers.readable());
    this.output = new LoopStream(loop, EPOLLOUT, () => handlers.writable());
  }

  /**
   * Serves a socket's clients from now on, in place of a pair of descriptors; more than once is once.
   *
   * @param listener a listening socket with O_NONBLOCK, borrowed; undefined for none
   */
  listen(listener: number | undefined): void {
    if (listener === undefined) return;
    this.#clients ??= new ClientServer(this.#loop, listener, {
      connected: (client) => {
        this.input.open(client);
        this.output.open(client);
        this.#handlers.connected();
      },
      failed: (errno) => {
        this.#handlers.warn(`Cannot take clients any more: ${errnoText(errno)}`);
      },
    });
  }

  /** Whether its streams are a socket's clients, now or later. */
  get listens(): boolean {
    return this.#clients !== undefined;
  }

  /** The input has come to its end: it is closed, or the next client's turn has come. */
  endInput(): void {
    if (!this.#nextClient()) this.input.close();
  }

  /**
   * The output can't be written any more: it is closed, or the next client's turn has come.
   *
   * @returns whether there will be another
   */
  loseOutput(): boolean {
    if (this.#nextClient()) return true;
    this.output.close();
    return false;
  }

  /** Takes no more clients, and lets go of its streams. */
  close(): void {
    this.#clients?.[Symbol.dispose]();
    this.#clients = undefined;
    this.input.close();
    this.output.close();
  }

  #nextClient(): boolean {
    if (this.#clients === undefined) return false;
    this.input.close();
    this.output.close();
    this.#clients.next();
    return true;
  }
}
