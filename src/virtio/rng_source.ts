/**
 * Where an entropy device's bytes come from.
 *
 * @module
 */

import { EAGAIN, EINTR, EPOLLIN } from "../abi/linux.ts";
import { errnoText } from "../base/errors.ts";
import { type Bytes, getrandom, read } from "../host/file.ts";
import type { VirtioContext } from "./virtio_device.ts";

/** The host kernel's generator, or a file that the builder has opened so that it never makes a reader wait. */
export class RngSource {
  readonly #context: VirtioContext;
  readonly #fd: number | undefined;
  readonly #onMore: () => void;
  #waits = false;
  #ended = false;

  /**
   * The source of a device.
   *
   * @param context of the device's back; its descriptor `source` is borrowed
   * @param onMore called when there is something again after {@linkcode RngSource.fill} gave -1
   */
  constructor(context: VirtioContext, onMore: () => void) {
    this.#context = context;
    this.#fd = context.descriptor.fds["source"];
    this.#onMore = onMore;
  }

  /** Fills bytes: how many, or -1 where there are none yet, or none any more. */
  fill(bytes: Bytes): number {
    if (bytes.length === 0) return 0;
    if (this.#fd === undefined) return Math.max(0, getrandom(bytes));
    for (;;) {
      const result = this.#ended ? 0 : read(this.#fd, bytes);
      if (result > 0) return result;
      if (result === -EINTR) continue;
      if (result === -EAGAIN) this.#wait(true);
      else this.#end(result);
      return -1;
    }
  }

  /** Waits for nothing until the next {@linkcode RngSource.fill}. */
  rest(): void {
    this.#wait(false);
  }

  /** What was given once is not given again: a guest that finds nothing new is better off than one with an old key. */
  #end(result: number): void {
    if (this.#ended) return;
    this.#ended = true;
    const why = result === 0 ? "it has come to its end" : errnoText(-result);
    this.#context.warn(`No more entropy from its file: ${why}`);
  }

  #wait(wanted: boolean): void {
    if (this.#fd === undefined || this.#waits === wanted) return;
    this.#waits = wanted;
    const { loop } = this.#context;
    if (!wanted) return loop.remove(this.#fd);
    loop.add(this.#fd, EPOLLIN, () => {
      this.#wait(false);
      this.#onMore();
    });
  }
}
