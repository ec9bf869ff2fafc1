/**
 * File calls on raw descriptors, for I/O workers. Each gives its result or a negative errno and, but for an offset's bigint,
 * allocates nothing; `-EINTR` and short counts are the caller's to handle.
 *
 * An iovec block is an array of `struct iovec` (abi/linux.ts `Iovec`, 16 bytes each: host address and length, 8 bytes each) that the
 * caller fills and keeps: `block[4 * i]` and `[4 * i + 1]` are the address's low and high half as u32, `[4 * i + 2]` the length.
 *
 * @module
 */

import {
  AT_EMPTY_PATH,
  BLKGETSIZE64,
  GRND_NONBLOCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  S_IFBLK,
  S_IFMT,
  Statfs,
  Statx,
  STATX_BASIC_STATS,
} from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";
import { ioctlBytes } from "./ioctl.ts";
import {
  check,
  cString,
  diskCalls,
  errno,
  fileCalls,
  fileSystemCalls,
  pollingCalls,
  randomCalls,
  readingCalls,
  streamCalls,
  writingCalls,
} from "./libc.ts";

/** Iovecs as the kernel reads them. */
export type IovecBlock = Uint32Array<ArrayBuffer>;
/** Bytes that a call fills or takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Reads into `count` iovecs from byte `offset` on.
 *
 * SAFETY: the caller has checked that each iovec lies in memory that stays mapped.
 */
export function preadv(fd: number, iovecs: IovecBlock, count: number, offset: number): number {
  const at = BigInt(offset);
  const result = diskCalls().preadv(fd, iovecs, count, at);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Writes `count` iovecs from byte `offset` on; SAFETY as with {@linkcode preadv}. */
export function pwritev(fd: number, iovecs: IovecBlock, count: number, offset: number): number {
  const at = BigInt(offset);
  const result = diskCalls().pwritev(fd, iovecs, count, at);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Waits until the file's data, and as much of its metadata as reading needs, is on stable storage. */
export function fdatasync(fd: number): number {
  const result = diskCalls().fdatasync(fd);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Reads up to `length` bytes of a stream. */
export function read(fd: number, bytes: Bytes, length: number = bytes.length): number {
  const result = readingCalls().read(fd, bytes, Math.min(length, bytes.length));
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Writes the first `length` bytes to a stream. */
export function write(fd: number, bytes: Bytes, length: number = bytes.length): number {
  const result = writingCalls().write(fd, bytes, Math.min(length, bytes.length));
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Reads from byte `offset` on. */
export function pread(fd: number, bytes: Bytes, offset: number): number {
  const at = BigInt(offset);
  const result = fileCalls().pread(fd, bytes, bytes.length, at);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Receives from a socket without waiting, whatever the mode of its open file. */
export function receive(fd: number, bytes: Bytes, length: number = bytes.length): number {
  const calls = streamCalls();
  const result = calls.recv(fd, bytes, Math.min(length, bytes.length), MSG_DONTWAIT);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Sends to a socket without waiting, whatever the mode of its open file. */
export function send(fd: number, bytes: Bytes, length: number = bytes.length): number {
  const calls = streamCalls();
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const result = calls.send(fd, bytes, Math.min(length, bytes.length), flags);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * Allocates, zeroes or punches out bytes of a file.
 *
 * @param mode `FALLOC_FL_*`
 */
export function fallocate(fd: number, mode: number, offset: number, length: number): number {
  const at = BigInt(offset);
  const bytes = BigInt(length);
  const result = diskCalls().fallocate(fd, mode, at, bytes);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Sets a file's size in bytes. */
export function ftruncate(fd: number, size: number): number {
  const bytes = BigInt(size);
  const result = fileCalls().ftruncate(fd, bytes);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * Locks an open file for as long as any of its descriptors is open, without waiting: 0, or `-EAGAIN` where another open file
 * has a lock that excludes it.
 *
 * @param exclusive whether no other lock may be held; otherwise other shared ones may
 */
export function lockFile(fd: number, exclusive: boolean): number {
  const result = fileCalls().flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * Fills memory with random bytes from the kernel.
 *
 * @param bytes a view, of guest memory too; up to 256 at once are never cut short
 */
export function getrandom(bytes: Bytes): number {
  const result = randomCalls().getrandom(bytes, bytes.length, GRND_NONBLOCK);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * Waits for descriptors.
 *
 * @param descriptors an array of `struct pollfd` (abi/linux.ts `Pollfd`, 8 bytes each)
 * @param timeout milliseconds; 0 looks only, -1 waits without end
 */
export function poll(descriptors: Bytes, count: number, timeout: number): number {
  const result = pollingCalls().poll(descriptors, count, timeout);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Bytes that are free for us on the file system of a file; throws {@linkcode SystemError}. */
export function freeSpace(fd: number): number {
  const bytes = new Uint8Array(sizeof(Statfs));
  const result = fileSystemCalls().fstatfs(fd, bytes);
  if (result < 0) check("fstatfs", -(errno[0] ?? 0), "Cannot ask how much space is free");
  const view = new DataView(bytes.buffer);
  const at = (offset: number) => Number(view.getBigInt64(offset, true));
  return at(Statfs.f_bavail) * at(Statfs.f_bsize);
}

/** What kind of file a descriptor is, and how much is in it. */
export interface FileStatus {
  /** `S_IFREG`, `S_IFBLK`, … of abi/linux.ts. */
  readonly type: number;
  /** Bytes: of a regular file, or of a whole block device. */
  readonly size: number;
  /** Identity of the file: the same for two descriptors of one file. */
  readonly device: string;
  /** Inode number. */
  readonly inode: bigint;
}

/**
 * Asks what a descriptor is; throws {@linkcode SystemError}.
 *
 * @param context for the error's message: `Cannot look at disk "a.img"`
 */
export function fileStatus(fd: number, context?: string): FileStatus {
  const bytes = new Uint8Array(sizeof(Statx));
  const calls = fileCalls();
  const path = cString("");
  const result = calls.statx(fd, path, AT_EMPTY_PATH, STATX_BASIC_STATS, bytes);
  if (result < 0) check("statx", -(errno[0] ?? 0), context);
  const view = new DataView(bytes.buffer);
  const type = view.getUint16(Statx.stx_mode, true) & S_IFMT;
  const block = type === S_IFBLK;
  const major = view.getUint32(Statx.stx_dev_major, true);
  const minor = view.getUint32(Statx.stx_dev_minor, true);
  return {
    type,
    size: block ? blockDeviceSize(fd, context) : Number(view.getBigUint64(Statx.stx_size, true)),
    device: `${major}:${minor}`,
    inode: view.getBigUint64(Statx.stx_ino, true),
  };
}

function blockDeviceSize(fd: number, context: string | undefined): number {
  const size = new BigUint64Array(1);
  const result = ioctlBytes(fd, BLKGETSIZE64, new Uint8Array(size.buffer));
  check("ioctl(BLKGETSIZE64)", result, context);
  return Number(size[0]);
}
