/**
 * A worker that adds to a counter under a lock, by a read and a write that lose counts without it.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { SharedState } from "../../src/memory/shared_state.ts";

/** What the worker is told. */
export interface LockStart {
  readonly buffer: SharedArrayBuffer;
  /** Offsets of the lock and of the counter. */
  readonly lock: number;
  readonly counter: number;
  /** Offset of the word that counts the workers that are ready; all of them begin when it says `workers`. */
  readonly gate: number;
  readonly workers: number;
  readonly rounds: number;
}

self.onmessage = ({ data }: MessageEvent<LockStart>) => {
  const state = SharedState.attach(data.buffer);
  const lock = state.lock(data.lock);
  const gate = data.gate / 4;
  Atomics.add(state.words, gate, 1);
  Atomics.notify(state.words, gate);
  for (let now = 0; (now = Atomics.load(state.words, gate)) < data.workers;) {
    Atomics.wait(state.words, gate, now);
  }
  for (let i = 0; i < data.rounds; i++) {
    lock.acquire();
    const value = state.view.getUint32(data.counter, true);
    // Long enough for the others to come in between.
    for (let spin = 0; spin < 20; spin++) state.view.getUint32(data.counter + 4, true);
    state.view.setUint32(data.counter, value + 1, true);
    lock.release();
  }
  self.postMessage("done");
  self.close();
};
