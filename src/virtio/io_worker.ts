/**
 * Entry of an I/O worker: gets one message, makes the backs of its devices, says that they run, and handles events until it is
 * told to stop.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { DecodeTable } from "../bus/decode_table.ts";
import { BACKS as CHIP_BACKS } from "../devices/backs.ts";
import { DeviceModules, failureOf, MODULE_KIND } from "../devices/device_modules.ts";
import { EventLoop } from "../host/event_loop.ts";
import { EventFd } from "../host/fd.ts";
import { viewAt } from "../host/mapping.ts";
import { nameThread } from "../host/thread.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { SharedState } from "../memory/shared_state.ts";
import { BackSet } from "./back_set.ts";
import { virtioBacks } from "./devices.ts";
import { IoControl, type IoMessage, type IoStart, IoState, IoWanted } from "./io_control.ts";

self.onmessage = ({ data }: MessageEvent<IoStart>) => {
  DeviceModules.whenLoaded(data.modules, (modules) => main(data, modules));
};

function main(start: IoStart, modules: DeviceModules): void {
  const state = SharedState.attach(start.state);
  const control = new IoControl(state, start.control);
  try {
    run(start, modules, state, control);
  } catch (error) {
    fail(error);
  } finally {
    control.enter(IoState.stopped);
    self.close();
  }
}

function run(
  start: IoStart,
  modules: DeviceModules,
  state: SharedState,
  control: IoControl,
): void {
  nameThread(`io_${start.index}`);
  modules.require();
  const table = new DecodeTable(state, start.table);
  const stop = EventFd.borrow(start.stop);
  using loop = new EventLoop({
    stop,
    pause: EventFd.borrow(start.wake),
    onPause: () => look(backs, table, control),
    // A handler's error is our own fault: what its device does next is anybody's guess, so nothing is done next.
    onError: (error, _fd, owner) => {
      fail(backs.faultOf(owner, error));
      stop.signal();
    },
  });
  const backs = new BackSet({
    worker: start.index,
    loop,
    state,
    memory: GuestMemory.map(start.regions, viewAt),
    table,
    factories: {
      ...CHIP_BACKS,
      ...virtioBacks(modules),
      [MODULE_KIND]: (descriptor, context) => modules.back(descriptor, context),
    },
    post,
  });
  try {
    control.saw(backs.refresh());
    control.enter(IoState.running);
    // A request may have come before there was a loop to wake.
    look(backs, table, control);
    while (!loop.stopping) {
      loop.runOnce(-1);
      const finishing = control.wanted === IoWanted.finish && control.state === IoState.running;
      if (!finishing || backs.pending()) continue;
      post({ type: "finished" });
      control.enter(IoState.finished);
    }
  } finally {
    backs.close();
  }
}

/** Does what the owner wants: takes up a changed device list, holds still, goes on. */
function look(backs: BackSet, table: DecodeTable, control: IoControl): void {
  if (table.generation !== control.generation) control.saw(backs.refresh());
  const wanted = control.wanted;
  if (wanted === IoWanted.pause && control.state !== IoState.paused) {
    backs.pause();
    control.enter(IoState.paused);
  } else if (wanted !== IoWanted.pause && control.state === IoState.paused) {
    backs.resume();
    control.enter(IoState.running);
  }
}

function fail(error: unknown): void {
  post({ type: "failed", ...failureOf(error) });
}

function post(message: IoMessage): void {
  self.postMessage(message);
}
