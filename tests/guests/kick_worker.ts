/**
 * Runs a vCPU in a worker and acknowledges kicks in shared words, as a vCPU's worker does: the words are request, acknowledged
 * request, exits, and the errno of an unexpected end.
 */

import { EINTR } from "../../src/abi/linux.ts";
import { blockKicks, drainKicks, runSignalMask, threadId } from "../../src/host/thread.ts";
import { Vcpu, type VcpuDescriptor } from "../../src/kvm/vcpu.ts";

declare const self: Worker;

/** A request that ends the worker. */
const STOP = -1;

self.onmessage = (event: MessageEvent<{ vcpu: VcpuDescriptor; words: SharedArrayBuffer }>) => {
  const words = new Int32Array(event.data.words);
  const vcpu = Vcpu.borrow(event.data.vcpu);
  blockKicks();
  vcpu.setSignalMask(runSignalMask());
  self.postMessage(threadId());
  for (;;) {
    const result = vcpu.run();
    if (result === 0) {
      Atomics.add(words, 2, 1);
      continue;
    }
    if (result !== -EINTR) {
      Atomics.store(words, 3, -result);
      return;
    }
    vcpu.exit.immediateExit = false;
    drainKicks();
    const request = Atomics.load(words, 0);
    Atomics.store(words, 1, request);
    Atomics.notify(words, 1);
    if (request === STOP) return;
  }
};
