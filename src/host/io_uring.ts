/**
 * io_uring (`linux/io_uring.h`; man io_uring): file I/O that never blocks the I/O worker. Results come as the completion's
 * negative errno, so nothing here depends on errno after the submission.
 *
 * @module
 */

import {
  EAGAIN,
  EBUSY,
  EINTR,
  ENOSYS,
  EPERM,
  IoCqringOffsets,
  IORING_ENTER_GETEVENTS,
  IORING_FEAT_NODROP,
  IORING_FEAT_SINGLE_MMAP,
  IORING_FEAT_SUBMIT_STABLE,
  IORING_FSYNC_DATASYNC,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_OP_FALLOCATE,
  IORING_OP_FSYNC,
  IORING_OP_READV,
  IORING_OP_WRITEV,
  IORING_SETUP_CLAMP,
  IoSqringOffsets,
  IoUringCqe,
  IoUringParams,
  IoUringSqe,
  SYS_IO_URING_ENTER,
  SYS_IO_URING_SETUP,
} from "../abi/linux.ts";
import { SystemError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { Fd } from "./fd.ts";
import { check, errno, ioUringCalls, ioUringEnteringCalls } from "./libc.ts";
import { Mapping } from "./mapping.ts";

const SQE = sizeof(IoUringSqe);
const CQE = sizeof(IoUringCqe);
/** What kernels from 5.5 on have: one mapping, no lost completions, and iovecs that may be reused after submission. */
const FEATURES = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
/** A submission that meets nothing but EINTR and EAGAIN this often has failed. */
const ATTEMPTS = 10_000;

/** One ring, used by one isolate. */
export class IoUring implements Disposable {
  readonly #fd: Fd;
  readonly #rings: Mapping;
  readonly #entries: Mapping;
  readonly #ring: Uint32Array;
  readonly #ringView: DataView;
  readonly #entryView: DataView;
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;
  readonly #cqEntries: number;
  #tail = 0;
  #prepared = 0;
  #inFlight = 0;

  /** The completion that {@linkcode next} has fetched: its request's number. */
  userData = 0;
  /** The completion that {@linkcode next} has fetched: a result or a negative errno. */
  result = 0;

  /**
   * @param fd of the ring, owned by this object from now on
   * @param params what the kernel answered to io_uring_setup
   */
  constructor(fd: Fd, params: DataView) {
    const sq = IoUringParams.sq_off;
    const cq = IoUringParams.cq_off;
    const word = (at: number) => params.getUint32(at, true);
    const sqEntries = word(IoUringParams.sq_entries);
    this.#cqEntries = word(IoUringParams.cq_entries);
    this.#cqes = word(cq + IoCqringOffsets.cqes);
    const array = word(sq + IoSqringOffsets.array);
    const size = Math.max(array + sqEntries * 4, this.#cqes + this.#cqEntries * CQE);
    using stack = new DisposableStack();
    this.#fd = stack.use(fd);
    this.#rings = stack.use(Mapping.file(fd.number, IORING_OFF_SQ_RING, size));
    this.#entries = stack.use(Mapping.file(fd.number, IORING_OFF_SQES, sqEntries * SQE));
    stack.move();
    this.#ring = new Uint32Array(this.#rings.buffer(), 0, Math.floor(size / 4));
    this.#ringView = new DataView(this.#rings.buffer());
    this.#entryView = new DataView(this.#entries.buffer());
    this.#sqHead = word(sq + IoSqringOffsets.head) / 4;
    this.#sqTail = word(sq + IoSqringOffsets.tail) / 4;
    this.#sqMask = sqEntries - 1;
    this.#cqHead = word(cq + IoCqringOffsets.head) / 4;
    this.#cqTail = word(cq + IoCqringOffsets.tail) / 4;
    this.#cqMask = this.#cqEntries - 1;
    // Entry i is always at place i: the indirection is never used.
    for (let i = 0; i < sqEntries; i++) this.#ring[array / 4 + i] = i;
  }

  /**
   * A new ring; null where the host has none, forbids it, or has one from before Linux 5.5.
   *
   * @param entries requests that can be prepared before a submission; rounded up to a power of two
   */
  static create(entries: number): IoUring | null {
    const params = new Uint8Array(sizeof(IoUringParams));
    const view = new DataView(params.buffer);
    view.setUint32(IoUringParams.flags, IORING_SETUP_CLAMP, true);
    const calls = ioUringCalls();
    const result = calls.io_uring_setup(SYS_IO_URING_SETUP, entries, params);
    const error = result < 0 ? errno[0] ?? 0 : 0;
    if (error === ENOSYS || error === EPERM) return null;
    if (error !== 0) throw new SystemError("io_uring_setup", error, "Cannot make an I/O ring");
    const fd = new Fd(result);
    if ((view.getUint32(IoUringParams.features, true) & FEATURES) === FEATURES) {
      return new IoUring(fd, view);
    }
    fd.close();
    return null;
  }

  /** The ring's descriptor: readable when completions are there. */
  get fd(): number {
    return this.#fd.number;
  }

  /** Requests prepared or submitted whose completions haven't been fetched. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Prepares a read into iovecs.
   *
   * SAFETY: the iovecs stay until {@linkcode submit}, the memory they name until the completion.
   *
   * @param iovecs host address of the first
   * @param offset byte in the file
   * @param userData number that the completion brings back, below 2³²
   * @returns false when the ring is full: submit, fetch completions, and try again
   */
  readv(fd: number, iovecs: number, count: number, offset: number, userData: number): boolean {
    return this.#prepare(IORING_OP_READV, fd, userData) && this.#range(iovecs, count, offset, 0);
  }

  /** Prepares a write of iovecs, as {@linkcode readv}. */
  writev(fd: number, iovecs: number, count: number, offset: number, userData: number): boolean {
    return this.#prepare(IORING_OP_WRITEV, fd, userData) && this.#range(iovecs, count, offset, 0);
  }

  /** Prepares an fdatasync. It waits for no other request: the caller orders them. */
  fdatasync(fd: number, userData: number): boolean {
    return this.#prepare(IORING_OP_FSYNC, fd, userData) &&
      this.#range(0, 0, 0, IORING_FSYNC_DATASYNC);
  }

  /** Prepares a fallocate; `mode` as `FALLOC_FL_*`. */
  fallocate(fd: number, mode: number, offset: number, length: number, userData: number): boolean {
    return this.#prepare(IORING_OP_FALLOCATE, fd, userData) &&
      this.#range(length, mode, offset, 0);
  }

  /** Hands everything prepared to the kernel, in one call where it can be: 0 or a negative errno. */
  submit(): number {
    return this.#enter(0, 0);
  }

  /** Submits, then waits until `count` completions are there, or all that are in flight: 0 or a negative errno. */
  wait(count: number): number {
    return this.#enter(Math.min(count, this.#inFlight), IORING_ENTER_GETEVENTS);
  }

  /** Fetches one completion into {@linkcode userData} and {@linkcode result}; false when there is none. */
  next(): boolean {
    const head = this.#ring[this.#cqHead] ?? 0;
    // Acquire: the completion's fields are read after the tail that announces it.
    if (head === Atomics.load(this.#ring, this.#cqTail)) return false;
    const at = this.#cqes + (head & this.#cqMask) * CQE;
    this.userData = this.#ringView.getUint32(at + IoUringCqe.user_data, true);
    this.result = this.#ringView.getInt32(at + IoUringCqe.res, true);
    // Release: the kernel may reuse the place only after it was read.
    Atomics.store(this.#ring, this.#cqHead, (head + 1) >>> 0);
    this.#inFlight--;
    return true;
  }

  /** Never more in flight than completions fit: the completion ring can't overflow. */
  #prepare(opcode: number, fd: number, userData: number): boolean {
    // Acquire: the kernel has read an entry before its head moves past it.
    const head = Atomics.load(this.#ring, this.#sqHead);
    const used = (this.#tail - head) >>> 0;
    if (used > this.#sqMask || this.#inFlight >= this.#cqEntries) return false;
    const at = this.#entryAt();
    this.#entryView.setUint32(at, opcode, true);
    this.#entryView.setInt32(at + IoUringSqe.fd, fd, true);
    this.#entryView.setUint32(at + IoUringSqe.user_data, userData, true);
    this.#entryView.setUint32(at + IoUringSqe.user_data + 4, 0, true);
    return true;
  }

  #range(address: number, length: number, offset: number, flags: number): boolean {
    const at = this.#entryAt();
    this.#write64(at + IoUringSqe.addr, address);
    this.#write64(at + IoUringSqe.off, offset);
    this.#entryView.setUint32(at + IoUringSqe.len, length, true);
    this.#entryView.setUint32(at + IoUringSqe.op_flags, flags, true);
    this.#tail = (this.#tail + 1) >>> 0;
    this.#prepared++;
    this.#inFlight++;
    return true;
  }

  #entryAt(): number {
    return (this.#tail & this.#sqMask) * SQE;
  }

  #write64(at: number, value: number): void {
    const high = Math.floor(value / 0x1_0000_0000);
    this.#entryView.setUint32(at, value - high * 0x1_0000_0000, true);
    this.#entryView.setUint32(at + 4, high, true);
  }

  #enter(complete: number, flags: number): number {
    // Release: the entries are written before the tail that announces them.
    Atomics.store(this.#ring, this.#sqTail, this.#tail);
    const calls = ioUringEnteringCalls();
    const fd = this.#fd.number;
    for (let i = 0; i < ATTEMPTS; i++) {
      const asked = this.#prepared;
      const done = calls.io_uring_enter(SYS_IO_URING_ENTER, fd, asked, complete, flags, null, 0);
      const error = done < 0 ? errno[0] ?? 0 : 0;
      if (error === 0) this.#prepared -= done;
      else if (error !== EINTR && error !== EAGAIN && error !== EBUSY) return -error;
      if (error === 0 && this.#prepared === 0) return 0;
    }
    return -EAGAIN;
  }

  /** Waits for what is in flight, since no I/O may outlive the memory it aims at; then closes. */
  [Symbol.dispose](): void {
    if (this.#fd.closed) return;
    while (this.#inFlight > 0) {
      check("io_uring_enter", this.wait(1), "Cannot drain an I/O ring");
      while (this.next());
    }
    this.#rings[Symbol.dispose]();
    this.#entries[Symbol.dispose]();
    this.#fd.close();
  }
}
