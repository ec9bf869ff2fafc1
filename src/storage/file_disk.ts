/**
 * Disks in files: which way their requests go.
 *
 * @module
 */

import { IoUring } from "../host/io_uring.ts";
import { type DirectFile, ImageFile } from "./image_file.ts";
import { BlockingFile } from "./blocking_file.ts";
import type { Disk, DiskCompletion } from "./disk.ts";
import { UringFile } from "./uring_file.ts";

/** How requests reach the kernel: `io_uring`, or calls that block their I/O worker. */
export type DiskEngine = "io_uring" | "blocking";

/** What a disk in a file is made of. */
export interface FileDiskOptions {
  /** Opened by the builder, which closes it. */
  readonly fd: number;
  /** The same image for direct I/O; through the page cache where absent. */
  readonly direct?: DirectFile | undefined;
  /** `blocking` only in an I/O worker that has no other device. */
  readonly engine: DiskEngine;
  /** Most requests at a time. */
  readonly depth: number;
  /** Told of each request's end. */
  readonly complete: DiskCompletion;
}

/** A raw file or block device as a disk. Blocks after all where a ring was asked for and is not to be had. */
export function fileDisk(options: FileDiskOptions): Disk {
  const { depth, complete } = options;
  const file = new ImageFile(options.fd, options.direct);
  const ring = options.engine === "io_uring" ? IoUring.create(depth) : null;
  return ring === null
    ? new BlockingFile(file, complete)
    : new UringFile(ring, file, { depth, complete });
}
