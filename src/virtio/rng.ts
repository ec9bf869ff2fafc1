/**
 * The entropy device (virtio 1.3 §5.4): fills the driver's buffers with random bytes of the host. The model of how a device is
 * added: its id and layouts in abi/virtio_devices.ts, this file, a row in devices.ts, its plan in machine/device_plans.ts, a
 * test with the driver-side mock.
 *
 * @module
 */

import { VIRTIO_ID_RNG } from "../abi/virtio_devices.ts";
import { ByteBudget } from "../base/byte_budget.ts";
import type { LoopTimer } from "../host/event_loop.ts";
import { DescriptorChain } from "./descriptor_chain.ts";
import { RngSource } from "./rng_source.ts";
import type { VirtioContext, VirtioDevice } from "./virtio_device.ts";
import type { VirtioSpec } from "./virtio_spec.ts";
import type { Virtqueue } from "./virtqueue.ts";

const QUEUE = 0;
const QUEUE_SIZE = 64;

/** The most bytes that one request gets; a driver asks again for more. Keeps one guest from holding up its neighbours. */
export const RNG_MAX_BYTES = 65536;

/** One queue, no features, nothing to configure. */
export const RNG_SPEC: VirtioSpec = {
  deviceId: VIRTIO_ID_RNG,
  features: [],
  queueSizes: [QUEUE_SIZE],
};

/**
 * Answers requests for random bytes. Descriptor, borrowed: `source`, a file that they come from; the host kernel's generator where
 * absent. Options: `maxBytes` in each `period` of ms; as many as are wanted where absent.
 */
export class Rng implements VirtioDevice {
  readonly #context: VirtioContext;
  readonly #chain: DescriptorChain;
  readonly #bytes = new Uint8Array(RNG_MAX_BYTES);
  readonly #source: RngSource;
  readonly #budget: ByteBudget;
  #timer: LoopTimer | undefined;

  /** @param context of its back */
  constructor(context: VirtioContext) {
    const { options } = context.descriptor;
    this.#context = context;
    this.#chain = new DescriptorChain(context.memory, QUEUE_SIZE);
    this.#source = new RngSource(context, () => context.process(QUEUE));
    this.#budget = new ByteBudget(
      Number(options["maxBytes"] ?? Infinity),
      Number(options["period"] ?? 0),
    );
  }

  /** Fills what it may; the rest of the requests wait in the queue for the next period, or for the source. */
  processQueue(_index: number, queue: Virtqueue): void {
    const now = performance.now();
    for (let left; (left = this.#budget.left(now)) > 0 && queue.pop(this.#chain);) {
      const length = Math.min(this.#chain.writableLength, RNG_MAX_BYTES, left);
      const bytes = this.#bytes.subarray(0, length);
      const filled = this.#source.fill(bytes);
      if (filled < 0) return queue.undoPop();
      this.#budget.take(filled);
      queue.pushUsed(this.#chain.head, this.#chain.write(0, bytes.subarray(0, filled)));
    }
    if (this.#budget.left(now) <= 0) this.#later(this.#budget.wait(now));
  }

  /** Reads no more for the guest. */
  drain(): void {
    this.#source.rest();
  }

  /** Lets go of its timer. The source stays open. */
  close(): void {
    this.#source.rest();
    this.#timer?.[Symbol.dispose]();
  }

  #later(milliseconds: number): void {
    this.#timer ??= this.#context.loop.timer(() => this.#context.process(QUEUE));
    // A timer that is a moment early would find the budget still used up, and one of 0 never ends.
    this.#timer.set(Math.max(1, milliseconds));
  }
}
