/**
 * Entry of a vCPU's worker: gets one message, becomes the vCPU's thread, waits to be let go, runs the loop, says how it ended.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { BootMarks, MARK } from "../devices/boot_marks.ts";
import { DeviceModules, failureOf } from "../devices/device_modules.ts";
import type { FrontRequest } from "../devices/front.ts";
import { openIoctl } from "../host/ioctl.ts";
import { blockKicks, nameThread, pinThread, threadId } from "../host/thread.ts";
import { Vcpu } from "../kvm/vcpu.ts";
import { SharedState } from "../memory/shared_state.ts";
import { Board, type BoardOwner } from "./board.ts";
import { CoalescedWrites } from "./coalesced_writes.ts";
import { VcpuControl, VcpuState, Wanted } from "./control.ts";
import { describeVcpu, type LoopEnd, runVcpu } from "./loop.ts";
import type { VcpuMessage, VcpuStart } from "./messages.ts";

// Done here since the message comes later: blocked in the thread, open in KVM_RUN alone, a kick at any other time waits for the
// next KVM_RUN.
blockKicks();
const thread = threadId();
openIoctl();
self.onmessage = ({ data }: MessageEvent<VcpuStart>) => {
  DeviceModules.whenLoaded(data.modules, (modules) => main(data, modules));
};

function main(start: VcpuStart, modules: DeviceModules): void {
  const state = SharedState.attach(start.state);
  const control = new VcpuControl(state, start.control);
  try {
    const end = run(start, modules, state, control);
    if (end !== undefined) announceEnd(start, state, end);
  } catch (error) {
    announceEnd(start, state, { ...failureOf(error), detail: 0 });
  } finally {
    control.enter(VcpuState.stopped);
    self.close();
  }
}

function run(
  start: VcpuStart,
  modules: DeviceModules,
  state: SharedState,
  control: VcpuControl,
): LoopEnd | undefined {
  nameThread(`vcpu_${start.vcpu.id}`);
  if (start.pin.length > 0) pinThread(start.pin);
  control.announce(thread);
  modules.require();
  const vcpu = Vcpu.borrow(start.vcpu);
  const marks = start.marks < 0 ? undefined : new BootMarks(state, start.marks);
  const requests = new Requests(vcpu, control, marks);
  const board = new Board(state, start.table, control, requests, modules);
  const coalesced = vcpu.coalesced === undefined
    ? undefined
    : new CoalescedWrites(vcpu.coalesced, state.lock(start.ringLock), board);
  control.enter(VcpuState.ready);
  // The machine may still be being built, and may fail to be: until the lift nothing touches the vCPU.
  control.waitForLift();
  if (control.wanted === Wanted.stop) return undefined;
  const { headStart } = start;
  if (start.vcpu.id === 0 && headStart === undefined) marks?.add(MARK.firstRun);
  try {
    return runVcpu({ vcpu, board, control, coalesced, ended: () => requests.ended, headStart });
  } catch (error) {
    const { cause, text } = failureOf(error);
    return { cause, detail: 0, text: `${text}\n    at the guest's ${describeVcpu(vcpu)}` };
  }
}

/** What devices ask for during an exit of this vCPU. */
class Requests implements BoardOwner {
  ended: LoopEnd | undefined;
  readonly #marks: BootMarks | undefined;
  readonly #vcpu: Vcpu;
  readonly #control: VcpuControl;

  constructor(vcpu: Vcpu, control: VcpuControl, marks: BootMarks | undefined) {
    this.#vcpu = vcpu;
    this.#control = control;
    this.#marks = marks;
  }

  end(request: FrontRequest, detail: number): void {
    if (request === "yield") this.#yield(detail);
    else this.ended ??= { cause: request, detail, text: "" };
  }

  /** The owner pauses all vCPUs; this one runs no instruction more until then, also where the kick comes after the request. */
  #yield(detail: number): void {
    post({ type: "yielded", vcpu: this.#vcpu.id, detail });
    this.#control.waitForPause();
    this.#vcpu.exit.immediateExit = true;
  }

  mark(code: number): void {
    this.#marks?.add(code);
  }

  warn(device: string, message: string): void {
    post({ type: "warning", device, message });
  }
}

/** Ends the machine unless another vCPU has done so before. */
function announceEnd(start: VcpuStart, state: SharedState, end: LoopEnd): void {
  if (Atomics.compareExchange(state.words, start.end / 4, 0, start.vcpu.id + 1) !== 0) return;
  post({ type: "ended", vcpu: start.vcpu.id, ...end });
}

function post(message: VcpuMessage): void {
  self.postMessage(message);
}
