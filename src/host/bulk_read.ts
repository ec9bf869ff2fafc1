/**
 * Reads large files straight into guest memory while the isolate does something else: a kernel and its initrd come in while
 * the first worker starts.
 *
 * @module
 */

import { EIO } from "../abi/linux.ts";
import { SystemError } from "../base/errors.ts";
import { pread } from "./file.ts";
import { bulkReadCalls } from "./libc.ts";
import { pointer } from "./mapping.ts";

/** A part of an open file, and where in this process it goes. */
export interface BulkRead {
  /** Descriptor's number; stays open until the promise settles. */
  readonly fd: number;
  /** First byte in the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Host address; stays mapped until the promise settles, and the caller has checked the range. */
  readonly hostAddress: number;
}

/**
 * Reads until all bytes are there.
 *
 * @returns bytes read: fewer than asked for where the file ends before
 */
export async function bulkRead({ fd, offset, length, hostAddress }: BulkRead): Promise<number> {
  let done = 0;
  while (done < length) {
    // SAFETY: the caller keeps the range mapped until this promise settles.
    const target = pointer(hostAddress + done);
    const count = await bulkReadCalls().pread(
      fd,
      target,
      BigInt(length - done),
      BigInt(offset + done),
    );
    if (count < 0n) throw new SystemError("pread", errnoAt(fd, offset + done), "Cannot read");
    if (count === 0n) break;
    done += Number(count);
  }
  return done;
}

/** A call on the pool's threads loses its errno, so the failure is provoked once more on this one. */
function errnoAt(fd: number, offset: number): number {
  const result = pread(fd, new Uint8Array(1), offset);
  return result < 0 ? -result : EIO;
}
