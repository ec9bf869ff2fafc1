/**
 * The guest's coalesced writes, done at the exit of whichever vCPU comes first.
 *
 * @module
 */

import type { CoalescedRing, CoalescedSink } from "../kvm/coalesced_ring.ts";
import type { SharedLock } from "../memory/shared_state.ts";
import type { Board } from "./board.ts";

/** The VM's ring of writes as one vCPU worker empties it onto its board. */
export class CoalescedWrites implements CoalescedSink {
  readonly #ring: CoalescedRing;
  readonly #lock: SharedLock;
  readonly #board: Board;

  /**
   * @param ring the VM's
   * @param lock held by the one worker that empties it
   * @param board where the writes go
   */
  constructor(ring: CoalescedRing, lock: SharedLock, board: Board) {
    this.#ring = ring;
    this.#lock = lock;
    this.#board = board;
  }

  /** Does what waits. Returns when all that this vCPU wrote before its exit is done, be it by another worker. */
  drain(): void {
    if (!this.#ring.pending) return;
    this.#lock.acquire();
    try {
      this.#ring.drain(this);
    } finally {
      this.#lock.release();
    }
  }

  writePort(address: number, size: number, value: number): void {
    this.#board.ports.write(address, size, value);
  }

  writeMemory(address: number, size: number, value: number): void {
    this.#board.memory.write(address, size, value);
  }

  writeMemoryWide(address: number, value: bigint): void {
    this.#board.memory.writeWide(address, value);
  }
}
