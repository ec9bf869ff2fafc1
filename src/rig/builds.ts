/**
 * The rig's builds in the cache, a folder each: which are in use, and which nobody needs any more.
 *
 * @module
 */

import { O_RDONLY } from "../abi/linux.ts";
import { Fd } from "../host/fd.ts";
import { lockFile } from "../host/file.ts";
import { basename, join } from "../std/path.ts";

/** The kernel of a build: whoever uses the build holds a lock on this file, which ends with its process at the latest. */
export function kernelOf(build: string): string {
  return join(build, "vmlinux");
}

/** Says that a build is in use until dispose; undefined where there is no such build, or it is just being removed. */
export function useBuild(build: string): Disposable | undefined {
  const file = openKernel(build);
  if (file === undefined) return undefined;
  const isOurs = lockFile(file.number, false) === 0;
  // It may have been removed between the two.
  if (isOurs && isThere(build)) return file;
  file[Symbol.dispose]();
  return undefined;
}

/** Removes all builds but one, and but those in use. The caller holds the folder's lock. */
export async function pruneBuilds(folder: string, kept: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!/^[0-9a-f]{16}$/.test(name) || name === basename(kept)) continue;
    const build = join(folder, name);
    using file = openKernel(build);
    if (file !== undefined && lockFile(file.number, true) < 0) continue;
    await Deno.remove(build, { recursive: true }).catch(() => {
      // Somebody else's file: it takes space and does no harm.
    });
  }
}

function openKernel(build: string): Fd | undefined {
  return isThere(kernelOf(build)) ? Fd.open(kernelOf(build), O_RDONLY) : undefined;
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
