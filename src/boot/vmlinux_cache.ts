/**
 * The cache of unpacked kernels: a kernel that is booted again need not unpack itself.
 *
 * @module
 */

import { join } from "../std/path.ts";
import { cacheKey, exists, fileStamp, FolderLock, writeWhole } from "./cache_folder.ts";
import { unpackKernel } from "./vmlinux.ts";

/**
 * The kernel of a file, unpacked, as a file in the cache.
 *
 * @param kernel path of a bzImage
 * @param cache cache folder
 * @throws VireoError as {@linkcode unpackKernel}, and `environment` where the cache cannot be written
 */
export async function cachedVmlinux(kernel: string, cache: string): Promise<string> {
  const folder = join(cache, "vmlinux");
  const path = join(folder, await cacheKey(await fileStamp(kernel)));
  if (await exists(path)) return path;
  using _lock = await FolderLock.take(folder);
  if (!await exists(path)) await writeWhole(path, await unpackKernel(kernel));
  return path;
}
