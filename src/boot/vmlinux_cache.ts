/**
 * The cache of unpacked kernels: a kernel that is booted again need not unpack itself.
 *
 * @module
 */

import { join } from "../std/path.ts";
import { cacheKey, exists, fileStamp, FolderLock, writeWhole } from "./cache_folder.ts";
import { unpackKernel } from "./vmlinux.ts";

/**
 * The kernel of a file, unpacked, as a file in the cache. Where it is put there, those go that no package in the cache stands for
 * any more, but for what somebody holds.
 *
 * @param kernel path of a bzImage
 * @param cache cache folder
 * @param holding keeps the file from being removed by other processes until it is disposed of
 * @throws VireoError as {@linkcode unpackKernel}, and `environment` where the cache cannot be written
 */
export async function cachedVmlinux(
  kernel: string,
  cache: string,
  holding?: DisposableStack,
): Promise<string> {
  const folder = join(cache, "vmlinux");
  const path = join(folder, await nameOf(kernel));
  if (await hold(path, holding)) return path;
  using _lock = await FolderLock.take(folder);
  // Whoever had the lock before may have put it there; nobody removes it while we have it.
  if (await hold(path, holding)) return path;
  await writeWhole(path, await unpackKernel(kernel));
  await hold(path, holding);
  await removeDead(folder, new Set([kernel, ...await packagedKernels(cache)]));
  return path;
}

async function nameOf(kernel: string): Promise<string> {
  return await cacheKey(await fileStamp(kernel));
}

/**
 * Takes a shared lock of a file; false where it is not there, or goes while we wait for whoever removes it.
 *
 * @param holding gets the lock; without one the file is looked for alone
 */
async function hold(path: string, holding: DisposableStack | undefined): Promise<boolean> {
  if (!await exists(path)) return false;
  if (holding === undefined) return true;
  using stack = new DisposableStack();
  try {
    const file = stack.use(await Deno.open(path));
    await file.lock(false);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  if (!await exists(path)) return false;
  holding.use(stack.move());
  return true;
}

/** Removes unpacked kernels that none of the given ones stands for. What cannot be removed stays: it is in nobody's way. */
async function removeDead(folder: string, kernels: ReadonlySet<string>): Promise<void> {
  const alive = new Set<string>();
  for (const kernel of kernels) alive.add(await nameOf(kernel).catch(() => ""));
  for (const name of await namesIn(folder)) {
    if (alive.has(name) || !/^[0-9a-f]{32}$/.test(name)) continue;
    const path = join(folder, name);
    try {
      using file = await Deno.open(path, { read: true, write: true });
      if (await file.tryLock(true)) await Deno.remove(path);
    } catch {
      continue;
    }
  }
}

/** Paths of the kernels of all packages in the cache. */
async function packagedKernels(cache: string): Promise<readonly string[]> {
  const kernels: string[] = [];
  for (const packages of await namesIn(cache)) {
    if (!/^packages(-|$)/.test(packages)) continue;
    for (const root of await namesIn(join(cache, packages))) {
      const boot = join(cache, packages, root, "boot");
      const images = (await namesIn(boot)).filter((name) => name.startsWith("vmlinuz-"));
      kernels.push(...images.map((name) => join(boot, name)));
    }
  }
  return kernels;
}

/** What lies in a folder; nothing where it is none. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}
