/**
 * A driver goes while some of what it has sent still lies in its queue: reads that out before the queue's memory is the guest's own
 * again.
 *
 * @module
 */

import { concat } from "../base/bytes.ts";
import type { DescriptorChain } from "./descriptor_chain.ts";
import { BrokenRing } from "./split_ring.ts";
import type { Virtqueue } from "./virtqueue.ts";

/**
 * Takes all chains out of a queue of output.
 *
 * @param chain to walk them with
 * @param taken bytes of the first chain that are not wanted any more
 * @param limit most bytes; what is beyond them is lost
 */
export function salvage(
  queue: Virtqueue,
  chain: DescriptorChain,
  taken: number,
  limit: number,
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let left = limit;
  try {
    for (queue.beginRound(); queue.pop(chain); taken = 0) {
      const length = Math.max(0, chain.readableLength - taken);
      const bytes = new Uint8Array(Math.min(length, left));
      left -= chain.read(taken, bytes);
      parts.push(bytes);
    }
  } catch (error) {
    // The ring is the reason for the reset: what can be read of it has been.
    if (!(error instanceof BrokenRing)) throw error;
  }
  return concat(parts);
}
