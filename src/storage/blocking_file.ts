/**
 * A raw disk image by `preadv` and `pwritev`, for hosts without io_uring. Each request makes its I/O worker wait, so that a
 * disk of this kind gets a worker of its own.
 *
 * @module
 */

import {
  EINTR,
  EIO,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
} from "../abi/linux.ts";
import { fallocate, fdatasync, preadv, pwritev } from "../host/file.ts";
import type { Disk, DiskCompletion, DiskRequest } from "./disk.ts";
import type { ImageFile } from "./image_file.ts";

/** A disk in a file or block device whose every request ends before `start` returns. */
export class BlockingFile implements Disk {
  readonly event: number = -1;
  readonly #file: ImageFile;
  readonly #complete: DiskCompletion;

  /**
   * A disk over an opened file.
   *
   * @param file opened by the builder, which closes it
   * @param complete told of each request's end
   */
  constructor(file: ImageFile, complete: DiskCompletion) {
    this.#file = file;
    this.#complete = complete;
  }

  start(request: DiskRequest): void {
    this.#complete(request, this.#perform(request));
  }

  submit(): void {}

  reap(): void {}

  drain(): void {}

  /** Does nothing: the descriptor is the builder's. */
  [Symbol.dispose](): void {}

  #perform(request: DiskRequest): number {
    switch (request.operation) {
      case "read":
      case "write":
        return this.#transfer(request);
      case "flush":
        return untilDone(() => fdatasync(this.#file.fd));
      case "discard":
      case "zero":
      case "zero-unmap": {
        const { offset, length } = request;
        const mode = fallocateMode(request.operation);
        return untilDone(() => fallocate(this.#file.fd, mode, offset, length));
      }
      default:
        return request.operation satisfies never;
    }
  }

  #transfer(request: DiskRequest): number {
    const call = request.operation === "read" ? preadv : pwritev;
    while (request.done < request.length) {
      const at = request.offset + request.done;
      const moved = call(this.#file.fdFor(request), request.iovecs, request.count, at);
      if (moved === -EINTR) continue;
      if (moved < 0) return moved;
      // The file has become shorter than the disk that the guest was promised.
      if (moved === 0) return -EIO;
      if (request.done + moved === request.length) return 0;
      request.advance(moved);
    }
    return 0;
  }
}

/** The mode of `fallocate` that does what a request wants. */
export function fallocateMode(operation: "discard" | "zero" | "zero-unmap"): number {
  // bits: flags of fallocate
  return operation === "zero"
    ? FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
    : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
}

function untilDone(call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== -EINTR) return result;
  }
}
