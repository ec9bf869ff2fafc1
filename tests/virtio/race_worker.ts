/**
 * A guest's other processor: changes a descriptor back and forth, as fast as it can, until it is told to stop.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { viewAt } from "../../src/host/mapping.ts";

/** What the worker is told. */
export interface RaceStart {
  /** Host address of four words. */
  readonly address: number;
  /** Contents of the words, one after the other. */
  readonly contents: readonly (readonly number[])[];
  /** A word that becomes 1 when the worker is to stop, and 2 when it has. */
  readonly stop: SharedArrayBuffer;
}

self.onmessage = ({ data }: MessageEvent<RaceStart>) => {
  const words = new Uint32Array(viewAt(data.address, 16));
  const stop = new Int32Array(data.stop);
  while (Atomics.load(stop, 0) === 0) {
    for (let round = 0; round < 1000; round++) {
      // A processor writes a word as one; `set` may write its bytes apart.
      for (const content of data.contents) {
        for (let i = 0; i < content.length; i++) Atomics.store(words, i, content[i] ?? 0);
      }
    }
  }
  Atomics.store(stop, 0, 2);
  self.postMessage("stopped");
  self.close();
};
