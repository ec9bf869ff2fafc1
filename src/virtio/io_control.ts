/**
 * How a machine's owner and an I/O worker talk. The worker blocks in epoll and gets one message only, its start; after that a
 * request is a word in shared state and a signal on its `wake` eventfd, and an answer is a word too.
 *
 * @module
 */

import { struct } from "../base/struct.ts";
import type { ModuleUse, WorkerFailure } from "../devices/device_modules.ts";
import type { RegionDescriptor } from "../memory/guest_memory.ts";
import type { SharedState } from "../memory/shared_state.ts";

/** What the owner wants of an I/O worker. */
export const IoWanted = {
  run: 0,
  pause: 1,
  /** The guest has ended: go on until the host has taken all of its output. */
  finish: 2,
} as const;
/** One of {@linkcode IoWanted}. */
export type IoWanted = typeof IoWanted[keyof typeof IoWanted];

/** What an I/O worker does, as it says itself. */
export const IoState = {
  /** Its isolate or its devices are being made. */
  starting: 0,
  /** Its devices work. */
  running: 1,
  /** No I/O is in flight, and none is begun; resets are still answered. */
  paused: 2,
  /** Its devices are closed: nothing of it touches guest memory any more. */
  stopped: 3,
  /** After the guest's end: its devices still work, and none has output left. */
  finished: 4,
} as const;
/** One of {@linkcode IoState}. */
export type IoState = typeof IoState[keyof typeof IoState];

/** The one message that an I/O worker gets. */
export interface IoStart {
  /** Number of the worker, from 0: it runs the backs whose descriptors name it. */
  readonly index: number;
  /** The machine's shared state, and in it the decode table and this worker's control words. */
  readonly state: SharedArrayBuffer;
  readonly table: number;
  readonly control: number;
  /** Guest RAM. */
  readonly regions: readonly RegionDescriptor[];
  /** Modules that make devices of it. */
  readonly modules: readonly ModuleUse[];
  /** Eventfd that ends the worker. */
  readonly stop: number;
  /** Eventfd after which the worker looks at its control words and at the decode table's generation. */
  readonly wake: number;
}

/**
 * What an I/O worker posts: what a device says to the machine's owner, what went wrong, its own failure; and that all of it has
 * been said, when it is finished.
 */
export type IoMessage =
  | {
    readonly type: "device";
    readonly device: string;
    readonly message: Readonly<Record<string, string | number>>;
  }
  | { readonly type: "warning"; readonly device: string; readonly text: string }
  | { readonly type: "finished" }
  | { readonly type: "failed" } & WorkerFailure;

const Block = struct({
  wanted: "u32",
  state: "u32",
  /** The generation of the decode table that the worker has taken up. */
  generation: "u32",
}, { size: 64 });

/** Bytes of shared state per I/O worker. */
export const IO_CONTROL_SIZE = 64;

/** One I/O worker's words, as it and its owner see them. */
export class IoControl {
  readonly #shared: SharedState;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #base: number;

  /**
   * @param state where the words are
   * @param offset of this worker's block
   */
  constructor(state: SharedState, offset: number) {
    this.#shared = state;
    this.#words = state.words;
    this.#base = offset / 4;
  }

  /** What the owner wants. */
  get wanted(): IoWanted {
    return Atomics.load(this.#words, this.#base + Block.wanted / 4) as IoWanted;
  }

  /** What the worker does. */
  get state(): IoState {
    return Atomics.load(this.#words, this.#base + Block.state / 4) as IoState;
  }

  /** The decode table's generation that the worker has taken up. */
  get generation(): number {
    return Atomics.load(this.#words, this.#base + Block.generation / 4);
  }

  // The owner's side.

  /** Says what is wanted. The owner then signals `wake`. */
  request(wanted: IoWanted): void {
    Atomics.store(this.#words, this.#base + Block.wanted / 4, wanted);
  }

  /**
   * Waits, without blocking, until `done` holds for the worker's state or the time is up.
   *
   * @param timeout ms
   * @returns whether it holds
   */
  until(done: (state: IoState) => boolean, timeout: number): Promise<boolean> {
    return this.#shared.until(this.#base + Block.state / 4, () => done(this.state), timeout);
  }

  /** Waits until the worker has taken up the device list of `generation`, or a later one, or has stopped. */
  untilGeneration(generation: number, timeout: number): Promise<boolean> {
    const done = () => this.generation >= generation || this.state === IoState.stopped;
    return this.#shared.until(this.#base + Block.generation / 4, done, timeout);
  }

  // The worker's side.

  /** Says what the worker does now. */
  enter(state: IoState): void {
    this.#set(Block.state, state);
    // Whoever waits for a generation of a worker that has stopped waits for nothing.
    Atomics.notify(this.#words, this.#base + Block.generation / 4);
  }

  /** Says which device list the worker has taken up. */
  saw(generation: number): void {
    this.#set(Block.generation, generation);
  }

  #set(field: number, value: number): void {
    const index = this.#base + field / 4;
    Atomics.store(this.#words, index, value);
    Atomics.notify(this.#words, index);
  }
}
