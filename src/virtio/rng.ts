/**
 * The entropy device (virtio 1.3 §5.4): fills the driver's buffers with random bytes of the host. The model of how a device is
 * added: its id and layouts in abi/virtio_devices.ts, this file, a row in devices.ts, its plan in machine/device_plans.ts, a
 * test with the driver-side mock.
 *
 * @module
 */

import { VIRTIO_ID_RNG } from "../abi/virtio_devices.ts";
import { getrandom } from "../host/file.ts";
import { DescriptorChain } from "./descriptor_chain.ts";
import type { VirtioContext, VirtioDevice } from "./virtio_device.ts";
import type { VirtioSpec } from "./virtio_spec.ts";
import type { Virtqueue } from "./virtqueue.ts";

const QUEUE_SIZE = 64;

/** The most bytes that one request gets; a driver asks again for more. Keeps one guest from holding up its neighbours. */
export const RNG_MAX_BYTES = 65536;

/** One queue, no features, nothing to configure. */
export const RNG_SPEC: VirtioSpec = {
  deviceId: VIRTIO_ID_RNG,
  features: [],
  queueSizes: [QUEUE_SIZE],
};

/** Answers requests for random bytes. */
export class Rng implements VirtioDevice {
  readonly #chain: DescriptorChain;
  readonly #bytes = new Uint8Array(RNG_MAX_BYTES);

  /** @param context of its back */
  constructor(context: VirtioContext) {
    this.#chain = new DescriptorChain(context.memory, QUEUE_SIZE);
  }

  processQueue(_index: number, queue: Virtqueue): void {
    while (queue.pop(this.#chain)) {
      const length = Math.min(this.#chain.writableLength, RNG_MAX_BYTES);
      const wanted = this.#bytes.subarray(0, length);
      const filled = Math.max(0, getrandom(wanted));
      queue.pushUsed(this.#chain.head, this.#chain.write(0, wanted.subarray(0, filled)));
    }
  }
}
