/**
 * A raw disk image by io_uring: requests run beside each other, and nobody waits for them.
 *
 * @module
 */

import { EAGAIN, EINTR, EIO } from "../abi/linux.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import { IoUring } from "../host/io_uring.ts";
import { check } from "../host/libc.ts";
import { fallocateMode } from "./blocking_file.ts";
import type { Disk, DiskCompletion, DiskRequest } from "./disk.ts";
import type { ImageFile } from "./image_file.ts";

/** How often a request is tried again before its guest is told that it failed. */
const RETRIES = 100;

/** Whether this host has an io_uring that can be used: otherwise a disk needs an I/O worker of its own. */
export function ioUringAvailable(): boolean {
  try {
    using ring = IoUring.create(1);
    return ring !== null;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

/** A disk in a file or block device whose requests end whenever the kernel has done them, in any order. */
export class UringFile implements Disk {
  readonly #ring: IoUring;
  readonly #file: ImageFile;
  readonly #complete: DiskCompletion;
  /** Requests that run, by index. */
  readonly #running: (DiskRequest | undefined)[];
  #prepared = false;

  /**
   * A disk over an opened file.
   *
   * @param ring for this disk alone; closed with it
   * @param file opened by the builder without O_NONBLOCK; the builder closes it
   * @param depth most requests at a time, whose indices are below
   * @param complete told of each request's end
   */
  constructor(
    ring: IoUring,
    file: ImageFile,
    options: { readonly depth: number; readonly complete: DiskCompletion },
  ) {
    this.#ring = ring;
    this.#file = file;
    this.#complete = options.complete;
    this.#running = new Array<DiskRequest | undefined>(options.depth).fill(undefined);
  }

  /** The ring's own descriptor. */
  get event(): number {
    return this.#ring.fd;
  }

  start(request: DiskRequest): void {
    this.#running[request.index] = request;
    this.#prepared = true;
    if (this.#prepare(request)) return;
    this.submit();
    this.#prepared = true;
    if (!this.#prepare(request)) {
      throw new VireoError("internal", "Cannot start a disk request: the I/O ring stays full");
    }
  }

  submit(): void {
    if (!this.#prepared) return;
    this.#prepared = false;
    check("io_uring_enter", this.#ring.submit(), "Cannot submit disk requests");
  }

  reap(): void {
    do {
      // What is started again by short transfers and completions may be done by the time it is submitted.
      this.submit();
      while (this.#ring.next()) this.#finish(this.#ring.userData, this.#ring.result);
    } while (this.#prepared);
  }

  drain(): void {
    while (this.#ring.inFlight > 0) {
      this.#prepared = false;
      check("io_uring_enter", this.#ring.wait(1), "Cannot wait for disk requests");
      this.reap();
    }
  }

  /** Waits for what runs, without telling, and closes the ring. */
  [Symbol.dispose](): void {
    this.#ring[Symbol.dispose]();
  }

  #prepare(request: DiskRequest): boolean {
    const { index, operation, offset, length, done } = request;
    const ring = this.#ring;
    const file = this.#file;
    const at = offset + done;
    switch (operation) {
      case "read":
        return ring.readv(file.fdFor(request), request.iovecsAddress, request.count, at, index);
      case "write":
        return ring.writev(file.fdFor(request), request.iovecsAddress, request.count, at, index);
      case "flush":
        return ring.fdatasync(file.fd, index);
      case "discard":
      case "zero":
      case "zero-unmap":
        return ring.fallocate(file.fd, fallocateMode(operation), offset, length, index);
      default:
        return operation satisfies never;
    }
  }

  #finish(index: number, result: number): void {
    const request = this.#running[index];
    if (request === undefined) return;
    const again = result === -EINTR || result === -EAGAIN;
    if (again && request.retries++ < RETRIES) return this.start(request);
    const transfer = request.operation === "read" || request.operation === "write";
    if (transfer && result > 0 && request.done + result < request.length) {
      request.advance(result);
      return this.start(request);
    }
    this.#running[index] = undefined;
    // No byte at all: the file has become shorter than the disk that the guest was promised.
    this.#complete(request, transfer && result === 0 ? -EIO : Math.min(result, 0));
  }
}
