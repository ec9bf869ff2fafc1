/**
 * Debian's kernels that Linux tests boot besides the usual one. The runner puts them into the cache, unpacked kernels and initramfs
 * included, since the rig has neither network nor decompressors.
 *
 * @module
 */

import { errorText } from "../../src/base/errors.ts";
import { type BootFiles, findBootFiles } from "../../src/boot/boot_files.ts";
import { defaultCacheFolder } from "../../src/boot/cache_folder.ts";
import { fetchPackages } from "../../src/boot/packages.ts";
import { cachedVmlinux } from "../../src/boot/vmlinux_cache.ts";

/** The kernels by name: a meta package, the Debian release that has it, and how its version begins. */
export const DEBIAN_KERNELS = {
  "6.1 cloud": { name: "linux-image-cloud-amd64", suite: "bookworm", version: "6.1." },
  "6.1 generic": { name: "linux-image-amd64", suite: "bookworm", version: "6.1." },
  "6.12 cloud": { name: "linux-image-cloud-amd64", suite: "trixie", version: "6.12." },
} as const;

/** The name of one. */
export type DebianKernel = keyof typeof DEBIAN_KERNELS;

/** A kernel with all that it is booted with. */
export interface TestKernel extends BootFiles {
  /** The kernel inside, unpacked. */
  readonly vmlinux: string;
}

/** Where a kernel's package lies in the cache; undefined where it is not there. */
export function cachedKernel(kernel: DebianKernel): string | undefined {
  const { name, suite, version } = DEBIAN_KERNELS[kernel];
  for (const folder of ["packages", `packages-${suite}`]) {
    try {
      const path = `${defaultCacheFolder()}/${folder}`;
      const note = JSON.parse(Deno.readTextFileSync(`${path}/${name}.json`));
      if (!String(note.version).startsWith(version)) continue;
      return `${path}/${note.name}_${encodeURIComponent(note.version)}`;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** The files of a kernel that is in the cache. */
export async function testKernel(kernel: DebianKernel): Promise<TestKernel> {
  const root = cachedKernel(kernel);
  if (root === undefined) throw new Error(`The ${kernel} kernel is not in the cache`);
  const boot = await Array.fromAsync(Deno.readDir(`${root}/boot`));
  const image = boot.find(({ name }) => name.startsWith("vmlinuz-"))?.name;
  const files = await findBootFiles({ kernel: `${root}/boot/${image}` });
  return { ...files, vmlinux: await cachedVmlinux(files.kernel, defaultCacheFolder()) };
}

/**
 * Brings all kernels into the cache, from the release that they are of where this system's own is another one. One that cannot be
 * had is told of, and its tests say that they miss it.
 *
 * @param options `progress` is told what goes on
 */
export async function fetchTestKernels(options: {
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}): Promise<void> {
  for (const kernel of Object.keys(DEBIAN_KERNELS) as DebianKernel[]) {
    try {
      await fetchTestKernel(kernel, options);
    } catch (error) {
      options.progress(`Cannot fetch Debian's ${kernel} kernel: ${errorText(error)}`);
    }
  }
}

async function fetchTestKernel(
  kernel: DebianKernel,
  options: Parameters<typeof fetchTestKernels>[0],
): Promise<void> {
  const { name, suite } = DEBIAN_KERNELS[kernel];
  const isMissing = () => cachedKernel(kernel) === undefined;
  // This system's own release, where that is the one.
  if (isMissing() && suite === "bookworm") await fetchPackages([name], options);
  if (isMissing()) await fetchPackages([name], { ...options, suite });
  await testKernel(kernel);
}
