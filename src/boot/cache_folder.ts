/**
 * The folder that keeps what was fetched or built, shared by every Vireo process of a user: one writer at a time, and
 * nothing appears in it before it is whole.
 *
 * @module
 */

import { O_RDONLY } from "../abi/linux.ts";
import { errorText, VireoError } from "../base/errors.ts";
import { Fd } from "../host/fd.ts";
import { freeSpace } from "../host/file.ts";
import { join } from "../std/path.ts";

/**
 * Where Vireo keeps its cache: `$XDG_CACHE_HOME/vireo`, or `~/.cache/vireo`.
 *
 * @throws VireoError `environment` where neither variable is set
 */
export function defaultCacheFolder(): string {
  // The XDG base directory specification has relative paths ignored.
  const base = Deno.env.get("XDG_CACHE_HOME");
  if (base?.startsWith("/")) return join(base, "vireo");
  const home = Deno.env.get("HOME");
  if (home) return join(home, ".cache", "vireo");
  throw new VireoError(
    "environment",
    "Cannot find a cache folder: neither XDG_CACHE_HOME nor HOME is set; set one of them",
  );
}

/** The right to change a folder, held until disposed. Only processes that ask are kept out. */
export class FolderLock implements Disposable {
  readonly #file: Deno.FsFile;

  /** @param file an open file whose lock is held */
  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Makes the folder where needed and takes its lock, however long another process holds it. The kernel frees the lock of a
   * process that dies.
   */
  static async take(folder: string): Promise<FolderLock> {
    await makeFolder(folder);
    const path = join(folder, ".lock");
    try {
      const file = await Deno.open(path, { create: true, write: true });
      await file.lock(true);
      return new FolderLock(file);
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  /** Gives the lock back. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Makes a folder and its parents. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (error) {
    throw cannotWrite(folder, error);
  }
}

/** Makes an empty folder inside the given one, under a name that {@linkcode removeTemporary} knows. */
export async function makeTemporary(folder: string): Promise<string> {
  try {
    return await Deno.makeTempDir({ dir: folder, prefix: TEMPORARY });
  } catch (error) {
    throw cannotWrite(folder, error);
  }
}

/** Removes what runs that were killed left in the folder. The caller holds its lock. */
export async function removeTemporary(folder: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(TEMPORARY)) {
      await Deno.remove(join(folder, entry.name), { recursive: true });
    }
  }
}

/** Writes a file so that readers see the old one or the whole new one. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const draft = `${path}.${Deno.pid}.new`;
  try {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(draft, bytes);
    await Deno.rename(draft, path);
  } catch (error) {
    await Deno.remove(draft).catch(() => {});
    throw cannotWrite(path, error);
  }
}

/** Bytes that are free for us on a folder's disk. */
export function roomIn(folder: string): number {
  using file = Fd.open(folder, O_RDONLY);
  return freeSpace(file.number);
}

/**
 * Sees that the cache's disk has room, before a program of somebody else's meets its end.
 *
 * @param room bytes that are free
 * @param needs bytes that are needed, and what for
 * @throws VireoError `environment` where there are not so many
 */
export function requireRoom(
  folder: string,
  room: number,
  { needed, what }: { readonly needed: number; readonly what: string },
): void {
  if (room >= needed) return;
  const [left, all] = [Math.floor(room / 2 ** 20), Math.ceil(needed / 2 ** 20)];
  throw new VireoError(
    "environment",
    `Cannot keep ${what} in "${folder}": its disk has ${left} MiB left, and some ${all} MiB are ` +
      `needed; free some space, ${ELSEWHERE}`,
  );
}

const ELSEWHERE = "or choose another cache folder with XDG_CACHE_HOME";

/** The error for a cache that cannot be written, with what to do about it. */
export function cannotWrite(path: string, error: unknown): VireoError {
  const text = errorText(error);
  const why = isDiskFull(text)
    ? `the disk is full: ${text}; free some space`
    : `${text}; make it writable`;
  const message = `Cannot write "${path}": ${why}, ${ELSEWHERE}`;
  return new VireoError("environment", message, { cause: error });
}

/** Whether a message, of Deno's or of a program in the C locale, is about a disk or a user's share of it that is full. */
export function isDiskFull(text: string): boolean {
  return /No space left on device|enough free space|Disk quota exceeded/.test(text);
}

/** The error for a cache that is there but cannot be read. */
export function cannotRead(path: string, error: unknown): VireoError {
  return new VireoError(
    "environment",
    `Cannot read "${path}": ${errorText(error)}; make it readable, ${ELSEWHERE}`,
    { cause: error },
  );
}

const TEMPORARY = ".unfinished-";

/** Whether a file is there. */
export async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** What tells a file of a package from another one: such files never change in place. */
export async function fileStamp(path: string): Promise<readonly unknown[]> {
  const { size, mtime } = await Deno.stat(path);
  return [path, size, mtime?.getTime()];
}

/** A name for what is made from facts, and from nothing else. */
export async function cacheKey(facts: readonly unknown[]): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(facts));
  const digest = await crypto.subtle.digest("SHA-256", text);
  return Array.from(new Uint8Array(digest).subarray(0, 16))
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
