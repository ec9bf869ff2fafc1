/**
 * Disks in files: which way their requests go.
 *
 * @module
 */

import { IoUring } from "../host/io_uring.ts";
import { BlockingFile } from "./blocking_file.ts";
import type { Disk, DiskCompletion } from "./disk.ts";
import { UringFile } from "./uring_file.ts";

/** How requests reach the kernel: `io_uring`, or calls that block their I/O worker. */
export type DiskEngine = "io_uring" | "blocking";

/** What a disk in a file is made of. */
export interface FileDiskOptions {
  /** Opened by the builder, which closes it. */
  readonly fd: number;
  /** `blocking` only in an I/O worker that has no other device. */
  readonly engine: DiskEngine;
  /** Most requests at a time. */
  readonly depth: number;
  /** Told of each request's end. */
  readonly complete: DiskCompletion;
}

/** A raw file or block device as a disk. Blocks after all where a ring was asked for and is not to be had. */
export function fileDisk(options: FileDiskOptions): Disk {
  const { fd, depth, complete } = options;
  const ring = options.engine === "io_uring" ? IoUring.create(depth) : null;
  return ring === null
    ? new BlockingFile(fd, complete)
    : new UringFile(ring, fd, { depth, complete });
}
