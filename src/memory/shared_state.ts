/**
 * Our own state that several isolates see: device registers, queue indices, run states, requests. It lives in one
 * SharedArrayBuffer, where, unlike in guest memory, one can wait and lock.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";

/** Byte 0 holds the offset of the first free byte; blocks follow from here. */
const HEADER_SIZE = 64;

/** Longest single wait on a word in ms: the bound that every wait has, after which its condition is looked at again. */
export const WAIT_SLICE = 1000;

/** Blocks never share a cache line. */
const ALIGNMENT = 64;

/** A piece of shared state that somebody has, or had. */
interface Block {
  readonly offset: number;
  readonly size: number;
}

/** The shared state of one machine. Offsets are plain numbers, so that descriptors of devices can carry them. */
export class SharedState {
  /** To be handed to workers. */
  readonly buffer: SharedArrayBuffer;
  /** All of it as 32-bit words: index is offset / 4. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** All of it as a DataView. */
  readonly view: DataView<SharedArrayBuffer>;
  /** Blocks given back, by size: whoever comes wants what somebody before has had. */
  readonly #free = new Map<number, number[]>();
  /** Where {@linkcode SharedState.lend} notes what is taken. */
  #lent: Block[] | undefined;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Makes zeroed state of `size` bytes. */
  static create(size: number): SharedState {
    const state = new SharedState(new SharedArrayBuffer(size));
    state.words[0] = HEADER_SIZE;
    return state;
  }

  /** The state that another isolate made. */
  static attach(buffer: SharedArrayBuffer): SharedState {
    return new SharedState(buffer);
  }

  /**
   * Takes a zeroed block, aligned to 64 bytes: for good, but for what is lent. Blocks that were given back are known to the isolate
   * that lent them.
   *
   * @param size bytes
   * @param owner whose it is, for the error when there is no room
   * @returns the block's offset
   */
  allocate(size: number, owner: string): number {
    const rounded = Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    const again = this.#free.get(rounded)?.pop();
    if (again !== undefined) this.bytes(again, rounded).fill(0);
    const offset = again ?? this.#takeNew(rounded, size, owner);
    this.#lent?.push({ offset, size: rounded });
    return offset;
  }

  /**
   * Lends the blocks that `work` allocates.
   *
   * @returns what `work` gave, and what gives the blocks back, to be called when no isolate uses them any more
   */
  lend<Result>(work: () => Result): { readonly result: Result; readonly giveBack: () => void } {
    const outer = this.#lent;
    const blocks: Block[] = this.#lent = [];
    const giveBack = () => {
      for (const { offset, size } of blocks.splice(0)) {
        const free = this.#free.get(size) ?? [];
        this.#free.set(size, free);
        free.push(offset);
      }
    };
    try {
      return { result: work(), giveBack };
    } catch (error) {
      giveBack();
      throw error;
    } finally {
      this.#lent = outer;
    }
  }

  #takeNew(rounded: number, size: number, owner: string): number {
    const offset = Atomics.add(this.words, 0, rounded);
    if (offset + rounded > this.buffer.byteLength) {
      Atomics.sub(this.words, 0, rounded);
      throw new VireoError(
        "internal",
        `Cannot give ${size} bytes of shared state to ${owner}: ${this.buffer.byteLength} bytes are used up`,
      );
    }
    return offset;
  }

  /** A view of the block at `offset`. */
  block(offset: number, size: number): DataView<SharedArrayBuffer> {
    return new DataView(this.buffer, offset, size);
  }

  /** The bytes of the block at `offset`. */
  bytes(offset: number, size: number): Uint8Array<SharedArrayBuffer> {
    return new Uint8Array(this.buffer, offset, size);
  }

  /**
   * Waits, without blocking the isolate, until a condition on a word holds.
   *
   * @param index of the word, which is notified whenever the condition may have changed
   * @param done the condition
   * @param timeout ms
   * @returns whether it holds
   */
  async until(index: number, done: () => boolean, timeout: number): Promise<boolean> {
    const deadline = performance.now() + timeout;
    // Atomics.waitAsync alone doesn't keep Deno from ending for lack of work.
    using _alive = keepAlive();
    for (;;) {
      const value = Atomics.load(this.words, index);
      if (done()) return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      const waited = Atomics.waitAsync(this.words, index, value, Math.min(left, WAIT_SLICE));
      if (waited.async) await waited.value;
    }
  }

  /** The lock in the 32-bit word at `offset`. */
  lock(offset: number): SharedLock {
    return new SharedLock(this.words, offset / 4);
  }
}

/** A timer that a listener keeps Deno alive for: `setInterval` would have Deno load Node's timers (see {@linkcode Delay}). */
let longTimer: AbortSignal | undefined;
/** In ms: the most that a timer takes. */
const LONG = 2 ** 31 - 1;

/** Keeps Deno from ending for lack of work until it is disposed. */
function keepAlive(): Disposable {
  const timer = longTimer ??= AbortSignal.timeout(LONG);
  const listener = () => {};
  timer.addEventListener("abort", listener);
  return { [Symbol.dispose]: () => timer.removeEventListener("abort", listener) };
}

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/** Waits of {@linkcode WAIT_SLICE} after which a lock's holder is taken for dead. */
const PATIENCE = 20;

/**
 * A lock in one word of shared state: 21 ns when nobody else wants it. Not recursive. Held for a few register accesses at
 * most, never across a system call, so that waiting for it is short however many vCPUs there are.
 */
export class SharedLock {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #index: number;
  readonly #patience: number;

  /**
   * A lock in a word.
   *
   * @param words the shared state's words
   * @param index of the lock's word, 0 when free
   * @param patience waits of a second after which the holder is taken for dead; counted in waits and not by a clock, so that a
   *   process that was stopped meanwhile draws no wrong conclusion
   */
  constructor(words: Int32Array<SharedArrayBuffer>, index: number, patience: number = PATIENCE) {
    this.#words = words;
    this.#index = index;
    this.#patience = patience;
  }

  /** Waits until nobody else holds the lock, and takes it. Throws where its holder seems to have ended without a release. */
  acquire(): void {
    if (Atomics.compareExchange(this.#words, this.#index, FREE, HELD) === FREE) return;
    let waits = 0;
    while (Atomics.exchange(this.#words, this.#index, CONTENDED) !== FREE) {
      const outcome = Atomics.wait(this.#words, this.#index, CONTENDED, WAIT_SLICE);
      if (outcome === "timed-out" && ++waits >= this.#patience) throw abandoned(this.#index);
    }
  }

  /** Gives the lock back and wakes one who waits. */
  release(): void {
    if (Atomics.exchange(this.#words, this.#index, FREE) === CONTENDED) {
      Atomics.notify(this.#words, this.#index, 1);
    }
  }
}

function abandoned(index: number): VireoError {
  return new VireoError(
    "internal",
    `Cannot take the lock at word ${index} of the shared state: the worker that holds it has ended; restart the machine`,
  );
}
