/**
 * A turn of this isolate's event loop, in some 20 µs. A timer would do it too, at the price that `base/delay` tells of.
 *
 * @module
 */

import { yieldingCalls } from "./libc.ts";

/** Whether a promise is settled, or is by what the event loop finds at once: by work of other threads that is done. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => void (settled = true);
  promise.then(note, note);
  await yieldingCalls().sched_yield();
  return settled;
}
