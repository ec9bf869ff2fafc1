/**
 * Guest writes that KVM has collected instead of leaving KVM_RUN (KVM documentation, api.rst §4.116): a ring of a page, one for
 * all vCPUs of a VM, that lies behind each vCPU's kvm_run.
 *
 * The order of all accesses to a device stays whole only if what is in the ring is done before any other access to it is
 * answered, and nobody may wait for an exit that never comes: whoever owns the machine looks at the ring from time to time.
 *
 * @module
 */

import { KvmCoalescedMmio, KvmCoalescedMmioRing } from "../abi/kvm.ts";
import { PAGE_SIZE } from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";

const HEADER = sizeof(KvmCoalescedMmioRing);
const ENTRY = sizeof(KvmCoalescedMmio);
/** `KVM_COALESCED_MMIO_MAX`. */
const CAPACITY = Math.floor((PAGE_SIZE - HEADER) / ENTRY);
const FIRST = KvmCoalescedMmioRing.first / 4;
const LAST = KvmCoalescedMmioRing.last / 4;

/** Where collected writes go. */
export interface CoalescedSink {
  /** A write of 1, 2 or 4 bytes to a port. */
  writePort(address: number, size: number, value: number): void;
  /** A write of 1, 2 or 4 bytes to guest memory that is not RAM; 4 bytes are signed. */
  writeMemory(address: number, size: number, value: number): void;
  /** A write of 8 bytes to guest memory that is not RAM. */
  writeMemoryWide(address: number, value: bigint): void;
}

/** The ring. */
export class CoalescedRing {
  readonly #view: DataView;
  readonly #words: Uint32Array;

  /**
   * A ring where KVM has put it.
   *
   * @param pages kvm_run and what lies behind it
   * @param offset of the ring in them: pages by the capability `COALESCED_MMIO`, in bytes
   */
  constructor(pages: ArrayBuffer, offset: number) {
    this.#view = new DataView(pages, offset, PAGE_SIZE);
    this.#words = new Uint32Array(pages, offset, HEADER / 4);
  }

  /** Whether writes wait: two loads, for every exit. */
  get pending(): boolean {
    return Atomics.load(this.#words, FIRST) !== Atomics.load(this.#words, LAST);
  }

  /**
   * Does the writes that wait now, oldest first. One thread at a time: the caller holds a lock.
   *
   * @returns how many
   */
  drain(sink: CoalescedSink): number {
    // Acquire: entries up to `last` are written. What comes meanwhile is another vCPU's, which answers for it at its own exit.
    const last = Atomics.load(this.#words, LAST) % CAPACITY;
    let first = Atomics.load(this.#words, FIRST) % CAPACITY;
    let count = 0;
    for (; first !== last; count++) {
      this.#do(HEADER + first * ENTRY, sink);
      first = (first + 1) % CAPACITY;
      // Release: the kernel may write to this entry from now on.
      Atomics.store(this.#words, FIRST, first);
    }
    return count;
  }

  #do(at: number, sink: CoalescedSink): void {
    const view = this.#view;
    const address = view.getUint32(at + KvmCoalescedMmio.phys_addr, true) +
      view.getUint32(at + KvmCoalescedMmio.phys_addr + 4, true) * 0x1_0000_0000;
    const size = view.getUint32(at + KvmCoalescedMmio.len, true);
    const data = at + KvmCoalescedMmio.data;
    if (size === 8) return sink.writeMemoryWide(address, view.getBigUint64(data, true));
    const value = size === 1
      ? view.getUint8(data)
      : size === 2
      ? view.getUint16(data, true)
      : view.getInt32(data, true);
    if (view.getUint32(at + KvmCoalescedMmio.pio, true) !== 0) {
      sink.writePort(address, size, value);
    } else sink.writeMemory(address, size, value);
  }
}
