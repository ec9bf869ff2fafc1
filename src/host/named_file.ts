/**
 * Files by name, opened through libc: Deno's own calls ask for all permissions where a name lies in /dev, /proc or /sys, be it
 * `/dev/kvm`, a shell's `<(command)` or a file in /dev/shm.
 *
 * @module
 */

import { EINTR, O_PATH, O_RDONLY, S_IFDIR } from "../abi/linux.ts";
import { Fd } from "./fd.ts";
import { fileStatus, read } from "./file.ts";
import { check } from "./libc.ts";

/**
 * Reads a file, pipe or device to its end, or as far as wanted.
 *
 * @param most bytes after which it stops
 * @throws SystemError where it can't be opened or read
 */
export function readNamed(path: string, most: number): Uint8Array<ArrayBuffer> {
  using file = Fd.open(path, O_RDONLY);
  const { size } = fileStatus(file.number);
  // What has no size before it is read (a pipe, /proc) says 0.
  const bytes = new Uint8Array(size === 0 ? most : Math.min(size, most));
  let length = 0;
  while (length < bytes.length) {
    const count = read(file.number, bytes.subarray(length));
    if (count === -EINTR) continue;
    if (check("read", count, `Cannot read "${path}"`) === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

/** The same as text. */
export function readNamedText(path: string, most: number): string {
  return new TextDecoder().decode(readNamed(path, most));
}

/** Whether a name is a folder's; throws {@linkcode SystemError} where it is nothing's. */
export function isFolder(path: string): boolean {
  using file = Fd.open(path, O_PATH);
  return fileStatus(file.number).type === S_IFDIR;
}
