/** A virtio device, for `virtio_device.ts`: the guest's entropy is what the program has chosen, over and over. */

import { DescriptorChain, type VirtioContext, type VirtioDevice } from "../src/mod.ts";

/** There is one of it, in the machine's I/O worker. */
export function virtio({ memory, descriptor }: VirtioContext): VirtioDevice {
  const bytes = descriptor.options["bytes"] as readonly number[];
  const chain = new DescriptorChain(memory, 64);
  let given = 0;
  return {
    processQueue(_index, queue) {
      while (queue.pop(chain)) {
        const length = Math.min(chain.writableLength, 4096);
        const answer = Uint8Array.from({ length }, () => bytes[given++ % bytes.length] ?? 0);
        queue.pushUsed(chain.head, chain.write(0, answer));
      }
    },
  };
}
