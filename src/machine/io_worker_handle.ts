/**
 * An I/O worker as its owner holds it: its isolate, and the words and events by which the two talk.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { EventFd } from "../host/fd.ts";
import type { ModuleUse } from "../devices/device_modules.ts";
import type { RegionDescriptor } from "../memory/guest_memory.ts";
import type { SharedState } from "../memory/shared_state.ts";
import {
  IO_CONTROL_SIZE,
  IoControl,
  type IoMessage,
  type IoStart,
  IoState,
  IoWanted,
} from "../virtio/io_control.ts";
import type { MachineEvents } from "./events.ts";
import { notReady } from "./machine_modules.ts";

/** What an I/O worker is made from. */
export interface IoWorkerParts {
  readonly index: number;
  readonly state: SharedState;
  /** Offset of the decode table. */
  readonly table: number;
  readonly regions: readonly RegionDescriptor[];
  /** Modules that make devices of it. */
  readonly modules: readonly ModuleUse[];
  /** Whom to tell what the worker says. */
  readonly events: MachineEvents;
}

/** One I/O worker. */
export class IoWorkerHandle implements Disposable {
  readonly #parts: IoWorkerParts;
  readonly #offset: number;
  readonly #control: IoControl;
  readonly #stop = EventFd.create();
  readonly #wake = EventFd.create();
  readonly #lastMessage = Promise.withResolvers<void>();
  #worker: Worker | undefined;

  /** @param parts what it is made from; its isolate starts with {@linkcode IoWorkerHandle.start} */
  constructor(parts: IoWorkerParts) {
    this.#parts = parts;
    this.#offset = parts.state.allocate(IO_CONTROL_SIZE, `I/O worker ${parts.index}`);
    this.#control = new IoControl(parts.state, this.#offset);
  }

  /** Starts the isolate where it has not been. Notifications that come before it is up wait in their eventfds. */
  start(): void {
    if (this.#worker !== undefined) return;
    const { index, state, table, regions, modules } = this.#parts;
    const worker = new Worker(new URL("../virtio/io_worker.ts", import.meta.url), {
      type: "module",
    });
    worker.onmessage = (event: MessageEvent<IoMessage>) => this.#heard(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#control.enter(IoState.stopped);
      this.#parts.events.failed(event.message);
    };
    this.#worker = worker;
    const start: IoStart = {
      index,
      state: state.buffer,
      table,
      control: this.#offset,
      regions,
      modules,
      stop: this.#stop.number,
      wake: this.#wake.number,
    };
    worker.postMessage(start);
  }

  /**
   * Starts the isolate and has it make its devices, which then hold still until {@linkcode IoWorkerHandle.release}.
   *
   * @returns whether they are made; why not is said, or about to be
   * @throws VireoError of kind `device` where that takes longer
   */
  async prepare(timeout: number): Promise<boolean> {
    this.#control.request(IoWanted.pause);
    this.start();
    const done = (now: IoState) => now === IoState.paused || now === IoState.stopped;
    if (await this.#control.until(done, timeout)) return this.#control.state === IoState.paused;
    throw notReady(`I/O worker ${this.#parts.index}`, timeout, this.#parts.modules);
  }

  /** Waits until its devices work or hold still, or it has failed, at most `timeout` ms. */
  async comesUp(timeout: number): Promise<void> {
    await this.#control.until((state) => state !== IoState.starting, timeout);
  }

  /** Lets devices that are prepared work. */
  release(): void {
    if (this.#worker === undefined) return;
    this.#control.request(IoWanted.run);
    this.#wake.signal();
  }

  /** Finishes I/O in flight and starts no more; resets are still answered. */
  pause(timeout: number): Promise<void> {
    return this.#request(IoWanted.pause, IoState.paused, timeout);
  }

  /** Goes on after {@linkcode IoWorkerHandle.pause}. */
  resume(timeout: number): Promise<void> {
    return this.#request(IoWanted.run, IoState.running, timeout);
  }

  /**
   * Waits, after the guest's end, until the host has taken all output of the guest and its devices' messages have been heard, or
   * the time is up.
   *
   * @returns whether all was taken
   */
  async finish(timeout: number): Promise<boolean> {
    if (this.#worker === undefined) return true;
    this.#control.request(IoWanted.finish);
    this.#wake.signal();
    const done = (now: IoState) => now === IoState.finished || now === IoState.stopped;
    const isDone = await this.#control.until(done, timeout);
    // Words in shared state overtake messages; messages keep their order.
    if (this.#control.state === IoState.finished) await this.#lastMessage.promise;
    return isDone;
  }

  /** Waits until the worker has taken up the device list of this generation. */
  async changed(generation: number, timeout: number): Promise<void> {
    if (this.#worker === undefined) return;
    this.#wake.signal();
    this.#require(await this.#control.untilGeneration(generation, timeout), "take up devices");
  }

  /** Closes all devices in it and waits for that; a second time does nothing. */
  async stop(timeout: number): Promise<void> {
    if (this.#worker === undefined) return;
    this.#stop.signal();
    const stopped = await this.#control.until((state) => state === IoState.stopped, timeout);
    this.#terminate();
    this.#require(stopped, "stop");
  }

  /** Closes its events, after the isolate has gone. */
  [Symbol.dispose](): void {
    this.#terminate();
    this.#stop[Symbol.dispose]();
    this.#wake[Symbol.dispose]();
  }

  #terminate(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  async #request(wanted: IoWanted, state: IoState, timeout: number): Promise<void> {
    this.#control.request(wanted);
    if (this.#worker === undefined) return;
    this.#wake.signal();
    const done = (now: IoState) => now === state || now === IoState.stopped;
    this.#require(await this.#control.until(done, timeout), "pause or resume");
  }

  #require(answered: boolean, what: string): void {
    if (answered) return;
    throw new VireoError(
      "internal",
      `Cannot make I/O worker ${this.#parts.index} ${what}: it did not answer in time`,
    );
  }

  #heard(message: IoMessage): void {
    const { events } = this.#parts;
    switch (message.type) {
      case "device":
        return events.post(message.device, message.message);
      case "warning":
        return events.warn(message.device, message.text);
      case "failed":
        return events.failed(message.text, message.cause);
      case "finished":
        return this.#lastMessage.resolve();
      default:
        message satisfies never;
    }
  }
}
