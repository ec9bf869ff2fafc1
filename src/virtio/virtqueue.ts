/**
 * The device's side of a split virtqueue (virtio 1.3 §2.7). Everything the guest has put into its rings is taken for hostile:
 * read once, copied, checked, and only then used.
 *
 * @module
 */

import {
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_DESC_SIZE,
  VRING_USED_ELEM_SIZE,
  VRING_USED_F_NO_NOTIFY,
  VringAvail,
  VringDesc,
  VringUsed,
  VringUsedElem,
} from "../abi/virtio.ts";
import { VireoError } from "../base/errors.ts";
import { TWO_32 } from "../memory/guest_address.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { DescriptorChain } from "./descriptor_chain.ts";
import type { QueueState } from "./queue_state.ts";
import { BrokenRing, mapSplitRing } from "./split_ring.ts";

/** Which ring features the driver took. */
export interface QueueOptions {
  /** VIRTIO_F_INDIRECT_DESC. */
  readonly indirect: boolean;
  /** VIRTIO_F_EVENT_IDX. */
  readonly eventIdx: boolean;
}

/**
 * Requests that one round of processing takes at most: a guest that adds faster than we finish may not keep an I/O worker from
 * its other devices.
 */
const ROUND = 256;

/** Ring indices count modulo this. */
const INDICES = 0x1_0000;

/** The device's side of one queue, between activation and reset. Belongs to one isolate. */
export class Virtqueue {
  /** Entries. */
  readonly size: number;
  /** Why the last malformed chain was refused. */
  fault = "";
  /** Chains refused since activation. */
  malformed = 0;
  readonly #memory: GuestMemory;
  readonly #state: QueueState;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  readonly #table: DataView;
  readonly #avail: Uint16Array<ArrayBuffer>;
  readonly #used: Uint16Array<ArrayBuffer>;
  readonly #usedBytes: DataView;
  /** Next available entry to take. */
  #nextAvail: number;
  /** The driver's index when it was last looked at. */
  #seenAvail: number;
  /** Next used entry to write, and the one up to which the driver knows. */
  #nextUsed: number;
  #published: number;
  /** Address, length and offset in a view of the descriptor at hand: in an array, for numbers above 2^31 may be boxed elsewhere. */
  readonly #range = new Float64Array(3);
  #budget = 0;
  /** Whether `pop` has found the ring empty, so that new entries are news. */
  #foundEmpty = false;

  /**
   * Takes up a queue as the driver has set it up.
   *
   * @param state its registers and indices; what is wrong with them makes this throw {@linkcode BrokenRing}
   */
  constructor(memory: GuestMemory, state: QueueState, options: QueueOptions) {
    const { size, table, avail, used, usedBytes } = mapSplitRing(memory, state);
    this.size = size;
    this.#memory = memory;
    this.#state = state;
    this.#indirect = options.indirect;
    this.#eventIdx = options.eventIdx;
    this.#table = table;
    this.#avail = avail;
    this.#used = used;
    this.#usedBytes = usedBytes;
    this.#nextAvail = state.nextAvail;
    this.#seenAvail = this.#nextAvail;
    this.#nextUsed = state.nextUsed;
    this.#published = this.#nextUsed;
    if (!(this.#nextAvail < INDICES && this.#nextUsed < INDICES && this.inFlight <= size)) {
      throw new BrokenRing(
        `Cannot go on with a queue of ${size} at indices ${state.nextAvail} and ${state.nextUsed}`,
      );
    }
  }

  /** Requests taken and not yet pushed. */
  get inFlight(): number {
    return distance(this.#nextUsed, this.#nextAvail);
  }

  /** Whether the round ended before the ring was empty: the queue wants another one, after the worker's other devices. */
  get exhausted(): boolean {
    return this.#budget === 0;
  }

  /** Begins a round of processing, in which {@linkcode Virtqueue.pop} gives a bounded number of requests. */
  beginRound(): void {
    this.#budget = ROUND;
    this.#foundEmpty = false;
  }

  /** Ends the round early: {@linkcode Virtqueue.pop} gives nothing more, and the queue gets another round after the others. */
  endRound(): void {
    this.#budget = 0;
  }

  /**
   * Takes the next request. A malformed one never gets here: it goes straight back to the driver with length 0 and is counted
   * ({@linkcode Virtqueue.malformed}), and the one after it is taken.
   *
   * @param chain filled in; holds at least as many buffers as the queue has entries
   * @returns false where there is none, or where the round is over. Throws {@linkcode BrokenRing}.
   */
  pop(chain: DescriptorChain): boolean {
    while (this.#budget > 0) {
      if (this.#nextAvail === this.#seenAvail && !this.#lookForMore()) return false;
      const head = this.#avail[2 + this.#nextAvail % this.size]!;
      if (head >= this.size) {
        throw new BrokenRing(`Available entry names descriptor ${head} of ${this.size}`);
      }
      this.#budget--;
      this.#advance((this.#nextAvail + 1) % INDICES);
      if (this.#walk(chain, head)) return true;
      this.malformed++;
      this.#state.countMalformed();
      this.pushUsed(head, 0);
    }
    return false;
  }

  /** Puts the request that was taken last back, to be taken again: a device found that it can't serve it yet. */
  undoPop(): void {
    if (this.inFlight === 0) {
      throw new VireoError("internal", "Cannot put back a request: none is in flight");
    }
    this.#advance((this.#nextAvail + INDICES - 1) % INDICES);
    this.#foundEmpty = false;
  }

  /**
   * Gives a request back to the driver, which learns of it by {@linkcode Virtqueue.publish}.
   *
   * @param head the chain's head
   * @param length bytes written to its writable buffers, from their start
   */
  pushUsed(head: number, length: number): void {
    if (this.inFlight === 0) {
      throw new VireoError("internal", "Cannot push a request that was not taken");
    }
    const at = VringUsed.ring + this.#nextUsed % this.size * VRING_USED_ELEM_SIZE;
    this.#usedBytes.setUint32(at + VringUsedElem.id, head, true);
    this.#usedBytes.setUint32(at + VringUsedElem.len, length, true);
    this.#nextUsed = (this.#nextUsed + 1) % INDICES;
  }

  /**
   * Shows the driver all requests pushed since the last time.
   *
   * @returns whether the driver wants an interrupt for them (virtio 1.3 §2.7.7)
   */
  publish(): boolean {
    const before = this.#published;
    const now = this.#nextUsed;
    if (now === before) return false;
    // Release: the entries are written before the index is. Sequentially consistent, so also a full barrier: the driver's
    // wish is read after the index is visible, and one of the two sides always sees what the other did.
    Atomics.store(this.#used, 1, now);
    this.#published = now;
    this.#state.nextUsed = now;
    if (!this.#eventIdx) {
      return Atomics.load(this.#avail, 0) % 2 !== VRING_AVAIL_F_NO_INTERRUPT;
    }
    const event = Atomics.load(this.#avail, 2 + this.size);
    return event !== now && distance(event, now) <= distance(before, now);
  }

  /** Tells the driver that it may spare its notifications. A hint: some come all the same (virtio 1.3 §2.7.10). */
  disableNotifications(): void {
    // With EVENT_IDX the driver notifies at one index only, which lies behind it by now.
    if (!this.#eventIdx) Atomics.store(this.#used, 0, VRING_USED_F_NO_NOTIFY);
  }

  /**
   * Asks for a notification of the next request.
   *
   * @returns whether one has come in between, without a notification, after {@linkcode Virtqueue.pop} had found the ring
   *   empty: the queue must be processed again
   */
  enableNotifications(): boolean {
    // Sequentially consistent store, then load: either the driver sees our wish after adding, or we see what it added.
    if (this.#eventIdx) Atomics.store(this.#used, 2 + this.size * 4, this.#nextAvail);
    else Atomics.store(this.#used, 0, 0);
    return this.#foundEmpty && Atomics.load(this.#avail, 1) !== this.#nextAvail;
  }

  #advance(index: number): void {
    this.#nextAvail = index;
    this.#state.nextAvail = index;
  }

  /** Looks at the driver's index. Acquire: the entries and descriptors before it are read after it. */
  #lookForMore(): boolean {
    const index = Atomics.load(this.#avail, VringAvail.idx / 2);
    const added = distance(this.#nextAvail, index);
    if (added > this.size - this.inFlight) {
      throw new BrokenRing(
        `Available index went from ${this.#nextAvail} to ${index} in a queue of ${this.size} with ${this.inFlight} in flight`,
      );
    }
    this.#seenAvail = index;
    this.#foundEmpty = added === 0;
    return added > 0;
  }

  // bits: flags of descriptors
  /** Reads the chain that begins at `head`, each descriptor once; false, with the reason in `fault`, where it is malformed. */
  #walk(chain: DescriptorChain, head: number): boolean {
    chain.begin(head);
    const range = this.#range;
    let table = this.#table;
    let base = 0;
    let entries = this.size;
    let index = head;
    for (let count = 1; count <= this.size; count++) {
      if (index >= entries) return this.#refuse("next descriptor outside its table");
      const at = base + index * VRING_DESC_SIZE;
      const low = table.getUint32(at + VringDesc.addr, true);
      range[0] = low + table.getUint32(at + VringDesc.addr + 4, true) * TWO_32;
      range[1] = table.getUint32(at + VringDesc.len, true);
      const flags = table.getUint16(at + VringDesc.flags, true);
      index = table.getUint16(at + VringDesc.next, true);
      if ((flags & VRING_DESC_F_INDIRECT) !== 0) {
        const found = this.#indirectTable(flags, table);
        if (found === undefined) return false;
        table = found;
        base = range[2]!;
        entries = range[1]! / VRING_DESC_SIZE;
        index = 0;
        // The reference is no buffer of the chain.
        count--;
        continue;
      }
      if (!this.#take(chain, (flags & VRING_DESC_F_WRITE) !== 0)) return false;
      if ((flags & VRING_DESC_F_NEXT) === 0) return true;
    }
    return this.#refuse("longer than the queue, or a loop");
  }

  // bits: flags of a descriptor
  /**
   * Checks a reference to an indirect table (virtio 1.3 §2.7.5.3), which may lie at any address.
   *
   * @param table where the reference stands
   * @returns the view that shows the table from the third element of the range on
   */
  #indirectTable(flags: number, table: DataView): DataView | undefined {
    const entries = this.#range[1]! / VRING_DESC_SIZE;
    if (!this.#indirect) this.#refuse("INDIRECT without the feature");
    else if (table !== this.#table) this.#refuse("indirect table within another");
    else if ((flags & VRING_DESC_F_NEXT) !== 0) this.#refuse("INDIRECT and NEXT together");
    else if (entries === 0 || entries % 1 !== 0) this.#refuse("indirect table of odd size");
    else if (entries > this.size) this.#refuse("indirect table longer than the queue");
    else {
      const found = this.#memory.viewOfRange(this.#range);
      if (found === undefined) this.#refuse("indirect table outside RAM");
      return found;
    }
    return undefined;
  }

  /** Adds the buffer in the range to the chain, unless it is empty. */
  #take(chain: DescriptorChain, writable: boolean): boolean {
    const range = this.#range;
    if (range[1] === 0) return true;
    if (!writable && chain.count > chain.readableCount) {
      return this.#refuse("readable buffer after a writable one");
    }
    if (!this.#memory.containsRange(range)) return this.#refuse("buffer outside RAM");
    if (chain.readableLength + chain.writableLength + range[1]! >= TWO_32) {
      return this.#refuse("4 GiB or more in all");
    }
    chain.add(range, writable);
    return true;
  }

  #refuse(fault: string): false {
    this.fault = fault;
    return false;
  }
}

/** How far `to` is ahead of `from`, both modulo 2^16. */
function distance(from: number, to: number): number {
  return (to - from + INDICES) % INDICES;
}
