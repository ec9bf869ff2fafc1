/**
 * An event loop that a test turns by hand.
 *
 * @module
 */

import { EventLoop } from "../../src/host/event_loop.ts";
import { EventFd } from "../../src/host/fd.ts";

/** A loop that throws what a handler threw. */
export class TestLoop implements Disposable {
  readonly #stop = EventFd.create();
  /** The loop. */
  readonly loop = new EventLoop({
    stop: this.#stop,
    onError: (error) => {
      throw error;
    },
  });

  [Symbol.dispose](): void {
    this.loop[Symbol.dispose]();
    this.#stop[Symbol.dispose]();
  }
}
