/**
 * This process' open descriptors.
 *
 * @module
 */

import { pause } from "./pause.ts";

/** How long those of ended threads may take to go, in ms. */
const PATIENCE = 30_000;

/** Open descriptors, once there are as few as `wanted` or that takes too long: a worker's own go a little later than it. */
export async function descriptors(wanted: number): Promise<number> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const { length } = await Array.fromAsync(Deno.readDir("/proc/self/fd"));
    if (length <= wanted || performance.now() > deadline) return length;
    await pause(50);
  }
}

/**
 * How many descriptors Deno itself keeps for each worker that has ended: none in 2.9; in 2.7 an epoll and an eventfd, whatever
 * the worker did.
 */
export async function descriptorsPerWorker(): Promise<number> {
  const count = 10;
  // The first one makes what all share.
  await endWorker();
  const before = await descriptors(Infinity);
  for (let i = 0; i < count; i++) await endWorker();
  return Math.round((await settled() - before) / count);
}

async function endWorker(): Promise<void> {
  const worker = new Worker(new URL("./idle_worker.ts", import.meta.url), { type: "module" });
  worker.postMessage(undefined);
  await pause(50);
  worker.terminate();
}

/** Descriptors when their number has not changed for half a second. */
async function settled(): Promise<number> {
  for (let last = -1;;) {
    const now = await descriptors(Infinity);
    if (now === last) return now;
    last = now;
    await pause(500);
  }
}
