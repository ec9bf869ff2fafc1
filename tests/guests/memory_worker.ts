/** Adds one to a byte of memory that it got by address, and answers what the byte was. */

import { viewAt } from "../../src/host/mapping.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<{ address: number; index: number }>) => {
  const { address, index } = event.data;
  const bytes = new Uint8Array(viewAt(address, 4096));
  const before = bytes[index] ?? 0;
  bytes[index] = before + 1;
  self.postMessage(before);
};
