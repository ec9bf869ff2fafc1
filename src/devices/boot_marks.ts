/**
 * When a machine's start got how far: moments in shared state, noted by the builder, by vCPU workers and, through the marker
 * port, by the guest.
 *
 * @module
 */

import { sizeof, struct } from "../base/struct.ts";
import type { SharedState } from "../memory/shared_state.ts";

/**
 * What is noted. A guest's own marks are the bytes that it writes: of these Vireo's init writes two, as letters.
 */
export const MARK = {
  /** KVM has a VM. */
  vmCreated: 0x100,
  /** Kernel and initrd are in memory. */
  loaded: 0x101,
  /** vCPU 0 is about to enter the guest. */
  firstRun: 0x102,
  /** The guest sends its first byte to a serial port. */
  serial: 0x103,
  /** Process 1 runs: "I". */
  init: 0x49,
  /** It is about to start the command or the shell: "C". */
  command: 0x43,
} as const;

/** A moment. */
export interface BootMark {
  /** One of {@linkcode MARK}, or a byte of the guest's own. */
  readonly code: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Marks that are kept; a guest may write any number. */
const MAX_MARKS = 64;

/** `done` is set when the others are. */
const Entry = struct({ code: "u32", done: "u32", at: "u64" });
const Block = struct({ count: "u32", _pad: "u32", entries: [Entry, MAX_MARKS] });

/** Milliseconds since the epoch, the same in all isolates, to some microseconds. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The marks of one machine, as each isolate sees them. */
export class BootMarks {
  /** Of the block, to be handed to workers. */
  readonly offset: number;
  readonly #state: SharedState;

  /**
   * The marks that another isolate made room for.
   *
   * @param state the machine's shared state
   * @param offset of the block
   */
  constructor(state: SharedState, offset: number) {
    this.offset = offset;
    this.#state = state;
  }

  /** Makes room for marks. */
  static create(state: SharedState): BootMarks {
    return new BootMarks(state, state.allocate(sizeof(Block), "the boot timer"));
  }

  /** Notes that something happens now. What comes after {@linkcode MAX_MARKS} marks is forgotten. */
  add(code: number): void {
    const { words, view } = this.#state;
    const count = (this.offset + Block.count) / 4;
    if (Atomics.load(words, count) >= MAX_MARKS) return;
    const index = Atomics.add(words, count, 1);
    if (index >= MAX_MARKS) return;
    const at = this.#entry(index);
    view.setUint32(at + Entry.code, code, true);
    view.setFloat64(at + Entry.at, now(), true);
    Atomics.store(words, (at + Entry.done) / 4, 1);
  }

  /** The first mark of each code, by time. */
  read(): readonly BootMark[] {
    const { words, view } = this.#state;
    const count = Math.min(Atomics.load(words, (this.offset + Block.count) / 4), MAX_MARKS);
    const marks = Array.from({ length: count }, (_, index) => this.#entry(index))
      .filter((at) => Atomics.load(words, (at + Entry.done) / 4) === 1)
      .map((at) => ({
        code: view.getUint32(at + Entry.code, true),
        at: view.getFloat64(at + Entry.at, true),
      }))
      .sort((a, b) => a.at - b.at);
    return marks.filter(({ code }, index) =>
      marks.findIndex((mark) => mark.code === code) === index
    );
  }

  #entry(index: number): number {
    return this.offset + Block.entries + index * sizeof(Entry);
  }
}
