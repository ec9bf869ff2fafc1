/**
 * Writes cpio archives in the newc format that Linux unpacks as an initramfs (Documentation/driver-api/early-userspace/
 * buffer-format.rst). Archives may be put one behind the other: Linux unpacks them all, later files replacing earlier ones.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";

/** One thing in the archive. Parents come before their children: Linux makes no folder by itself. Modes are permission bits. */
export type CpioEntry =
  | {
    readonly kind: "file";
    readonly path: string;
    /** Permission bits, 0o644 if absent. */
    readonly mode?: number;
    readonly data: Uint8Array;
  }
  | {
    readonly kind: "directory";
    readonly path: string;
    /** Permission bits, 0o755 if absent. */
    readonly mode?: number;
  }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | {
    readonly kind: "character" | "block";
    readonly path: string;
    /** Permission bits, 0o600 if absent. */
    readonly mode?: number;
    readonly major: number;
    readonly minor: number;
  };

/**
 * Makes an archive of the entries, in their order, ended by a trailer and padded to 4 bytes so that another archive may
 * follow. The result depends on the entries alone: owner and times are 0.
 */
export function writeCpio(entries: Iterable<CpioEntry>): Uint8Array<ArrayBuffer> {
  const records = Array.from(entries, toRecord);
  records.push({ name: encodeName(TRAILER), mode: 0, links: 1, data: NOTHING, device: [0, 0] });
  let size = 0;
  for (const record of records) size += recordSize(record);
  const archive = new Uint8Array(size);
  let at = 0;
  records.forEach((record, index) => {
    writeRecord(archive.subarray(at), record, index + 1);
    at += recordSize(record);
  });
  return archive;
}

const TRAILER = "TRAILER!!!";
const HEADER_BYTES = 110;
/** Linux skips an entry whose name, or link target, is longer than this with its NUL. */
const PATH_MAX = 4096;
const SIZE_MAX = 0xffffffff;
const NOTHING = new Uint8Array();

const TYPE_BITS = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
} as const;

interface Record {
  /** The name with its NUL. */
  readonly name: Uint8Array;
  readonly mode: number;
  readonly links: number;
  readonly data: Uint8Array;
  readonly device: readonly [major: number, minor: number];
}

// bits: file modes, 16 of them
function toRecord(entry: CpioEntry): Record {
  if (entry.path === TRAILER) throw refuse(entry.path, "this name ends an archive");
  const name = encodeName(entry.path);
  const type = TYPE_BITS[entry.kind];
  const plain = { name, links: 1, data: NOTHING, device: [0, 0] as const };
  switch (entry.kind) {
    case "file":
      if (entry.data.length > SIZE_MAX) {
        throw refuse(entry.path, "a file in a newc archive must be smaller than 4 GiB");
      }
      return { ...plain, mode: type | (entry.mode ?? 0o644), data: entry.data };
    case "directory":
      return { ...plain, mode: type | (entry.mode ?? 0o755), links: 2 };
    case "symlink": {
      const target = encodeName(entry.target);
      return { ...plain, mode: type | 0o777, data: target.subarray(0, target.length - 1) };
    }
    case "character":
    case "block":
      return {
        ...plain,
        mode: type | (entry.mode ?? 0o600),
        device: [entry.major, entry.minor],
      };
    default:
      throw entry satisfies never;
  }
}

function encodeName(path: string): Uint8Array {
  if (path === "") throw refuse(path, "a path must not be empty");
  if (path.includes("\0")) throw refuse(path, "a path must not hold a NUL byte");
  const name = new TextEncoder().encode(`${path}\0`);
  if (name.length > PATH_MAX) {
    throw refuse(`${path.slice(0, 40)}…`, `a path must be shorter than ${PATH_MAX} bytes`);
  }
  return name;
}

function refuse(path: string, why: string): VireoError {
  return new VireoError("range", `Cannot put ${JSON.stringify(path)} into a cpio archive: ${why}`);
}

function align4(value: number): number {
  return Math.ceil(value / 4) * 4;
}

function recordSize(record: Record): number {
  return align4(HEADER_BYTES + record.name.length) + align4(record.data.length);
}

/** `struct cpio_newc_header`: the magic, then thirteen fields of eight hexadecimal digits. */
function writeRecord(to: Uint8Array, record: Record, inode: number): void {
  const fields = [
    inode,
    record.mode,
    0, // uid
    0, // gid
    record.links,
    0, // mtime
    record.data.length,
    0, // device major
    0, // device minor
    record.device[0],
    record.device[1],
    record.name.length,
    0, // checksum: of the crc format only
  ];
  const hex = fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0")).join("");
  new TextEncoder().encodeInto(`070701${hex}`, to);
  to.set(record.name, HEADER_BYTES);
  to.set(record.data, align4(HEADER_BYTES + record.name.length));
}
