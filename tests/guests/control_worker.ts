/** Answers the control words of a vCPU as its worker does between two runs, with nothing to run. */

import { SharedState } from "../../src/memory/shared_state.ts";
import { VcpuControl, VcpuState, Wanted } from "../../src/vcpu/control.ts";

declare const self: Worker & { close(): void };

self.onmessage = (event: MessageEvent<{ state: SharedArrayBuffer; control: number }>) => {
  const control = new VcpuControl(SharedState.attach(event.data.state), event.data.control);
  control.enter(VcpuState.running);
  for (let wanted = control.wanted; wanted !== Wanted.stop; wanted = control.wanted) {
    if (wanted !== Wanted.pause) continue;
    control.enter(VcpuState.paused);
    control.waitWhilePaused();
    control.enter(VcpuState.running);
  }
  control.enter(VcpuState.stopped);
  self.close();
};
