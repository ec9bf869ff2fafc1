/**
 * Opens disk images for a machine: everything that can be wrong with one is found here, before the guest starts.
 *
 * @module
 */

import {
  EAGAIN,
  EINVAL,
  O_DIRECT,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK,
} from "../abi/linux.ts";
import { VIRTIO_BLK_SECTOR_SIZE } from "../abi/virtio_devices.ts";
import { ConfigError, SystemError } from "../base/errors.ts";
import { Fd } from "../host/fd.ts";
import { Mapping } from "../host/mapping.ts";
import { type FileStatus, fileStatus, lockFile, pread } from "../host/file.ts";
import type { DirectFile } from "./image_file.ts";

/** An opened and locked disk image. */
export interface DiskImage extends Disposable {
  /** Its descriptor; the lock lasts as long as this or a duplicate is open. */
  readonly fd: Fd;
  /** Bytes, a multiple of 512. */
  readonly size: number;
  /** Whether it was opened for reading only. */
  readonly readonly: boolean;
  /** For I/O past the page cache, where that was asked for. */
  readonly direct?: DirectFile;
}

/** How an image is opened. */
export interface OpenImageOptions {
  /** The guest may only read; other machines may read the same image then. */
  readonly readonly: boolean;
  /** Where the path was given, for errors: `--disk` or `disks[0].path`. */
  readonly where: string;
  /** Opened a second time, for I/O past the host's page cache. */
  readonly direct?: boolean;
}

/**
 * Opens a raw disk image or block device and locks it: one writer, or any number of readers. The lock is `flock`'s, so that
 * other programs see it if they ask.
 *
 * @param path as `open` takes it, relative to the working directory
 * @throws ConfigError that says what to do
 */
export function openImage(path: string, options: OpenImageOptions): DiskImage {
  if (path === "" || path.includes("\0")) {
    throw new ConfigError(
      options.where,
      "The disk's path is empty or holds NUL; name a file or block device",
    );
  }
  checkKind(path, options);
  const access = options.readonly ? O_RDONLY : O_RDWR;
  using stack = new DisposableStack();
  const fd = stack.use(opened(path, access, options));
  const size = checkedSize(path, fd, options);
  lock(path, fd, options);
  const direct = options.direct === true ? openDirect(path, fd, access, options) : undefined;
  if (direct !== undefined) stack.use(direct.owner);
  const owned = stack.move();
  return {
    fd,
    size,
    readonly: options.readonly,
    ...(direct === undefined ? {} : { direct: direct.file }),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** The same open file's image once more, whatever its path names by now. */
function openDirect(
  path: string,
  fd: Fd,
  access: number,
  options: OpenImageOptions,
): { readonly owner: Fd; readonly file: DirectFile } {
  const where = { ...options, where: options.where.replace(/\.path$/, ".cache") };
  const why = 'its file system has no direct I/O; choose another cache than "none"';
  try {
    // bits: flags of open
    using owner = Fd.open(`/proc/self/fd/${fd.number}`, access | O_DIRECT);
    const alignment = directAlignment(owner.number);
    if (alignment === undefined) fail(path, where, why);
    return { file: { fd: owner.number, alignment }, owner: owner.move() };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    fail(path, where, why, error);
  }
}

/** Sectors of disks as there are; a read that is not aligned to them is refused, also at a file's end. */
const ALIGNMENTS = [512, 4096] as const;

/** What direct I/O must be a multiple of: the least that the kernel takes. */
function directAlignment(fd: number): number | undefined {
  using page = Mapping.anonymous(2 * 4096);
  const bytes = new Uint8Array(page.buffer());
  return ALIGNMENTS.find((n) => pread(fd, bytes.subarray(n, 2 * n), n) !== -EINVAL);
}

/** Looks before the real opening, which would wait at a FIFO and fail without a word at a folder. */
function checkKind(path: string, options: OpenImageOptions): void {
  // bits: flags of open
  using fd = opened(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, options);
  const { type } = status(path, fd, options);
  if (type !== S_IFREG && type !== S_IFBLK) {
    fail(path, options, `it is ${KINDS[type] ?? "no file"}; name a file or block device`);
  }
}

const KINDS: Readonly<Record<number, string>> = {
  [S_IFDIR]: "a folder",
  [S_IFCHR]: "a character device",
  [S_IFIFO]: "a FIFO",
  [S_IFSOCK]: "a socket",
};

function checkedSize(path: string, fd: Fd, options: OpenImageOptions): number {
  const { size } = status(path, fd, options);
  if (size === 0) fail(path, options, `it is empty; give it a size: truncate -s 1G '${path}'`);
  const rest = size % VIRTIO_BLK_SECTOR_SIZE;
  if (rest !== 0) {
    fail(
      path,
      options,
      `its ${size} bytes are not whole sectors of ${VIRTIO_BLK_SECTOR_SIZE}; extend it with ` +
        `truncate -s %${VIRTIO_BLK_SECTOR_SIZE} '${path}', or cut off ${rest} bytes with ` +
        `truncate -s -${rest} '${path}'`,
    );
  }
  return size;
}

function lock(path: string, fd: Fd, options: OpenImageOptions): void {
  const result = lockFile(fd.number, !options.readonly);
  if (result === 0) return;
  if (result !== -EAGAIN) {
    fail(path, options, "it cannot be locked", new SystemError("flock", -result));
  }
  fail(
    path,
    options,
    options.readonly
      ? "another machine or program writes to it; stop that, or give this machine a copy"
      : 'another machine or program uses it; stop that, give this machine a copy, or add ",readonly" to both',
  );
}

function opened(path: string, flags: number, options: OpenImageOptions): Fd {
  try {
    return Fd.open(path, flags);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    fail(path, options, openingHint(error.code, options.readonly), error);
  }
}

function status(path: string, fd: Fd, options: OpenImageOptions): FileStatus {
  try {
    return fileStatus(fd.number);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    fail(path, options, "its size is not to be had", error);
  }
}

/**
 * What an errno of `open` means for a disk and what to do about it.
 *
 * @param code the errno's C name
 * @param readonly whether it was to be opened for reading only
 */
export function openingHint(code: string, readonly: boolean): string {
  switch (code) {
    case "ENOENT":
      return "there is no such file; check the path, or make one: truncate -s 1G FILE";
    case "EACCES":
    case "EPERM":
      return readonly
        ? "no permission to read it; change its permissions, or run as its owner"
        : 'no permission to read and write it; change its permissions, or add ",readonly"';
    case "EROFS":
      return 'its file system is read-only; add ",readonly"';
    case "ETXTBSY":
      return 'it is a program that runs; copy it, or add ",readonly"';
    case "EBADF":
      return "the process was not started with that descriptor; hand it on: vireo run … 7<>FILE";
    case "ENXIO":
    case "ENODEV":
      return "the device behind it is not there; attach it first";
    default:
      return "it cannot be opened; check the path";
  }
}

function fail(path: string, options: OpenImageOptions, why: string, cause?: SystemError): never {
  const detail = cause ? ` (${cause.syscall}: ${cause.code})` : "";
  throw new ConfigError(
    options.where,
    `Cannot use disk "${path}"${detail}: ${why}`,
    cause ? { cause } : {},
  );
}
