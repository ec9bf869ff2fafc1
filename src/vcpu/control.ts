/**
 * How the machine's owner and its vCPU workers talk: words in shared state. A worker in KVM_RUN gets no messages, so a
 * request is a word, and a kick makes the worker look at it.
 *
 * @module
 */

import { struct } from "../base/struct.ts";
import { type SharedState, WAIT_SLICE } from "../memory/shared_state.ts";

/** What the owner wants of a vCPU. */
export const Wanted = { run: 0, pause: 1, stop: 2 } as const;
/** One of {@linkcode Wanted}. */
export type Wanted = typeof Wanted[keyof typeof Wanted];

/** What a vCPU worker does, as it says itself. */
export const VcpuState = {
  /** Its worker is starting. */
  starting: 0,
  /** It waits at the start barrier. */
  ready: 1,
  /** In KVM_RUN or at an exit. */
  running: 2,
  /** It waits for {@linkcode Wanted.run}; its registers may be read. */
  paused: 3,
  /** It will never run again; its worker has let go of everything. */
  stopped: 4,
} as const;
/** One of {@linkcode VcpuState}. */
export type VcpuState = typeof VcpuState[keyof typeof VcpuState];

/** One vCPU's words. */
const Block = struct({
  wanted: "u32",
  state: "u32",
  tid: "u32",
  /** Index of the word that the worker waits on in a front, or 0: whoever sets `wanted` notifies that word too. */
  parked: "u32",
  /** The generation of the decode table that the worker has seen. */
  generation: "u32",
  /** Whether vCPUs wait before their first KVM_RUN: 1 until the owner lifts the barrier. */
  barrier: "u32",
  /** Number of the owner's last question whether the vCPU has halted. */
  question: "u32",
  /** The question answered last, times two, plus one for yes. */
  answer: "u32",
  /** Whether a plain thread has the vCPU, and nobody has taken on to end it. */
  headStart: "u32",
}, { size: 64 });

/** How long a vCPU that has nothing to run may take to see a question, in ms. */
const REQUEST_SLICE = 20;

/** Bytes of shared state per vCPU. */
export const VCPU_CONTROL_SIZE = 64;

/** One vCPU's words, as its worker and its owner see them. */
export class VcpuControl {
  /** Offset of this vCPU's block of shared state. */
  readonly offset: number;
  readonly #shared: SharedState;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #base: number;

  /**
   * @param state where the words are
   * @param offset of this vCPU's block
   */
  constructor(state: SharedState, offset: number) {
    this.offset = offset;
    this.#shared = state;
    this.#words = state.words;
    this.#base = offset / 4;
  }

  /** What the owner wants. */
  get wanted(): Wanted {
    return Atomics.load(this.#words, this.#base + Block.wanted / 4) as Wanted;
  }

  /** What the worker does. */
  get state(): VcpuState {
    return Atomics.load(this.#words, this.#base + Block.state / 4) as VcpuState;
  }

  /** Kernel's id of the worker's thread; 0 before it runs. */
  get tid(): number {
    return Atomics.load(this.#words, this.#base + Block.tid / 4);
  }

  /** The decode table's generation that the worker has seen last. */
  get generation(): number {
    return Atomics.load(this.#words, this.#base + Block.generation / 4);
  }

  // The owner's side.

  /** Says what is wanted, and wakes a worker that waits. One in KVM_RUN has to be kicked besides. */
  request(wanted: Wanted): void {
    // Stop is final: a pause or run that comes late must not undo it. There is one owner, so nobody writes in between.
    if (this.wanted === Wanted.stop) return;
    const index = this.#base + Block.wanted / 4;
    Atomics.store(this.#words, index, wanted);
    Atomics.notify(this.#words, index);
    Atomics.notify(this.#words, this.#base + Block.barrier / 4);
    const parked = Atomics.load(this.#words, this.#base + Block.parked / 4);
    if (parked !== 0) Atomics.notify(this.#words, parked);
  }

  /** Makes the vCPU wait before its first KVM_RUN, until {@linkcode VcpuControl.lift}. */
  hold(): void {
    Atomics.store(this.#words, this.#base + Block.barrier / 4, 1);
  }

  /** Lifts the start barrier for this vCPU. */
  lift(): void {
    const index = this.#base + Block.barrier / 4;
    Atomics.store(this.#words, index, 0);
    Atomics.notify(this.#words, index);
  }

  /** Says that a plain thread has the vCPU. */
  announceHeadStart(): void {
    Atomics.store(this.#words, this.#base + Block.headStart / 4, 1);
  }

  /** Takes on to end that thread; false where there is none, or another isolate has taken that on. */
  claimHeadStart(): boolean {
    return Atomics.exchange(this.#words, this.#base + Block.headStart / 4, 0) === 1;
  }

  /**
   * Waits, without blocking, until `done` holds for the vCPU's state or the time is up.
   *
   * @param timeout ms
   * @returns whether it holds
   */
  until(done: (state: VcpuState) => boolean, timeout: number): Promise<boolean> {
    const index = this.#base + Block.state / 4;
    return this.#shared.until(index, () => done(this.state), timeout);
  }

  /** Asks whether the vCPU has halted for good; its worker answers when it is kicked. Gives the question's number. */
  ask(): number {
    return Atomics.add(this.#words, this.#base + Block.question / 4, 1) + 1;
  }

  /**
   * Waits, without blocking, for the answer to a question.
   *
   * @param timeout ms
   * @returns whether the vCPU has halted; false without an answer
   */
  async answered(question: number, timeout: number): Promise<boolean> {
    const index = this.#base + Block.answer / 4;
    const halted = question * 2 + 1;
    const done = () => Atomics.load(this.#words, index) >= question * 2;
    return await this.#shared.until(index, done, timeout) &&
      Atomics.load(this.#words, index) === halted;
  }

  /**
   * Waits, without blocking, until the worker goes by this generation of the decode table or a newer one. A worker that is
   * not running looks at the table before it answers its next exit, so there is nothing to wait for.
   *
   * @param timeout ms
   * @returns whether it does
   */
  untilGeneration(generation: number, timeout: number): Promise<boolean> {
    const done = () => this.state !== VcpuState.running || this.generation >= generation;
    return this.#shared.until(this.#base + Block.generation / 4, done, timeout);
  }

  // The worker's side.

  /** Says what the worker does now. */
  enter(state: VcpuState): void {
    const index = this.#base + Block.state / 4;
    Atomics.store(this.#words, index, state);
    Atomics.notify(this.#words, index);
  }

  /** Says which thread to kick. */
  announce(tid: number): void {
    Atomics.store(this.#words, this.#base + Block.tid / 4, tid);
  }

  /** Says which generation of the decode table the worker goes by; wakes an owner that waits for it. */
  saw(generation: number): void {
    const index = this.#base + Block.generation / 4;
    Atomics.store(this.#words, index, generation);
    Atomics.notify(this.#words, index);
  }

  /** Number of the owner's last question, 0 before the first. */
  get question(): number {
    return Atomics.load(this.#words, this.#base + Block.question / 4);
  }

  /** Answers a question: whether the vCPU has halted for good. An owner that waits no longer answers false itself. */
  reply(question: number, halted: boolean): void {
    const index = this.#base + Block.answer / 4;
    Atomics.store(this.#words, index, question * 2 + (halted ? 1 : 0));
    Atomics.notify(this.#words, index);
  }

  /** Whether the owner's last question waits for its answer. */
  get isAsked(): boolean {
    const index = this.#base + Block.answer / 4;
    return Math.floor(Atomics.load(this.#words, index) / 2) !== this.question;
  }

  /** As {@linkcode VcpuControl.waitForPause}, or until the owner asks something. */
  waitForRequest(): void {
    const index = this.#base + Block.wanted / 4;
    while (this.wanted === Wanted.run && !this.isAsked) {
      Atomics.wait(this.#words, index, Wanted.run, REQUEST_SLICE);
    }
  }

  /** Blocks until the owner wants anything but that the vCPU runs. */
  waitForPause(): void {
    const index = this.#base + Block.wanted / 4;
    while (this.wanted === Wanted.run) Atomics.wait(this.#words, index, Wanted.run, WAIT_SLICE);
  }

  /** Blocks as long as the barrier holds and no stop is wanted. */
  waitForLift(): void {
    const index = this.#base + Block.barrier / 4;
    while (Atomics.load(this.#words, index) === 1 && this.wanted !== Wanted.stop) {
      Atomics.wait(this.#words, index, 1, WAIT_SLICE);
    }
  }

  /** Blocks as long as a pause is wanted. */
  waitWhilePaused(): void {
    const index = this.#base + Block.wanted / 4;
    while (this.wanted === Wanted.pause) {
      Atomics.wait(this.#words, index, Wanted.pause, WAIT_SLICE);
    }
  }

  /**
   * Blocks until a word of shared state is no longer `value`, a stop is wanted, or the time is up.
   *
   * @param index of the word
   * @param timeout ms
   * @returns false where the time was up
   */
  park(index: number, value: number, timeout: number): boolean {
    const parked = this.#base + Block.parked / 4;
    const deadline = performance.now() + timeout;
    Atomics.store(this.#words, parked, index);
    while (Atomics.load(this.#words, index) === value && this.wanted !== Wanted.stop) {
      const left = deadline - performance.now();
      if (left <= 0) break;
      // A stop between the look at `wanted` and the wait is seen after this slice at the latest.
      Atomics.wait(this.#words, index, value, Math.min(left, 20));
    }
    Atomics.store(this.#words, parked, 0);
    return Atomics.load(this.#words, index) !== value || this.wanted === Wanted.stop;
  }
}
