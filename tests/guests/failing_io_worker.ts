/** An I/O worker that takes a virtio device up, and fails when its driver waits for it: in the middle of a reset. */

import { DecodeTable } from "../../src/bus/decode_table.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import type { IoStart } from "../../src/virtio/io_control.ts";
import { PHASE, VirtioState } from "../../src/virtio/virtio_state.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<IoStart>) => {
  const shared = SharedState.attach(event.data.state);
  const { devices } = new DecodeTable(shared, event.data.table).read();
  const device = devices.find(({ kind }) => kind === "virtio-mmio");
  const state = VirtioState.attach(shared, device?.state ?? 0);
  waitFor(shared, state, PHASE.ACTIVATE);
  state.update((registers) => registers.phase = PHASE.ACTIVE);
  waitFor(shared, state, PHASE.RESET);
  throw new Error("Failed on purpose in a reset");
};

function waitFor(shared: SharedState, state: VirtioState, phase: number): void {
  while (state.phase !== phase) {
    Atomics.wait(shared.words, state.phaseIndex, state.phase, 5);
  }
}
