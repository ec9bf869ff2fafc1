/**
 * What `vireo boot` boots: a kernel and an initramfs, as given, from the cache, from Debian's archive, or the host's own.
 *
 * @module
 */

import { Elf64_Ehdr, Elf64_Phdr, PT_INTERP } from "../abi/elf.ts";
import { viewOf } from "../base/bytes.ts";
import { errorText, VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { readNamed } from "../host/named_file.ts";
import { dirname, join } from "../std/path.ts";
import { defaultCacheFolder } from "./cache_folder.ts";
import { isElf } from "./elf_kernel.ts";
import { baseInitramfs } from "./initramfs.ts";
import { kernelRelease } from "./kernel_release.ts";
import { fetchPackages } from "./packages.ts";
import { cachedVmlinux } from "./vmlinux_cache.ts";

/** What is given, and how to get the rest. */
export interface BootFilesOptions {
  /** Path of a bzImage or an ELF kernel, packed with gzip or not. */
  readonly kernel?: string;
  /** Path of an initrd, taken as it is. */
  readonly initrd?: string;
  /** Cache folder, `$XDG_CACHE_HOME/vireo` if absent. */
  readonly cache?: string;
  /** Told what goes on while packages are fetched, a line at a time. */
  readonly progress?: (line: string) => void;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal;
  /** The host's root folder; tests put their own here. */
  readonly host?: string;
  /** Fetches packages; tests put their own here. */
  readonly fetch?: typeof fetchPackages;
  /** Keeps other processes from removing the files from the cache until it is disposed of. */
  readonly holding?: DisposableStack;
}

/** What to boot. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
  /** Whether the initrd is Vireo's own, whose init reports in and runs commands. */
  readonly ownInit: boolean;
}

/** A kernel with the modules that fit it. */
interface Kernel {
  readonly path: string;
  readonly release: string;
  /** Absent where none are found: then all that is needed must be built in. */
  readonly modules?: string;
}

/**
 * Finds a kernel and makes an initramfs for it.
 *
 * @throws VireoError `environment` where there is no kernel or no busybox, with what was tried and what to pass
 */
export async function findBootFiles(options: BootFilesOptions = {}): Promise<BootFiles> {
  const { kernel, initrd } = options;
  if (kernel !== undefined && initrd !== undefined) return { kernel, initrd, ownInit: false };
  const found = kernel === undefined ? await findKernel(options) : await givenKernel(kernel);
  if (initrd !== undefined) return { kernel: found.path, initrd, ownInit: false };
  const busybox = await findBusybox(options);
  const { release, modules } = found;
  const base = await baseInitramfs(
    { busybox, release, ...(modules === undefined ? {} : { modules }) },
    options.cache ?? defaultCacheFolder(),
  );
  return { kernel: found.path, initrd: base, ownInit: true };
}

/** The package whose kernel is booted where none is given. */
export const KERNEL_PACKAGE = "linux-image-cloud-amd64";
const BUSYBOX_PACKAGE = "busybox-static";

async function findKernel(options: BootFilesOptions): Promise<Kernel> {
  try {
    const root = await fetchOne(KERNEL_PACKAGE, options);
    return await unpacked(await kernelIn(root), options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const own = await hostKernel(options.host ?? "/");
    if (own) return own;
    throw nothingFound("a kernel", error, "pass one with --kernel PATH");
  }
}

/**
 * The kernel without what unpacks it, which takes longer at each boot than reading the larger file. Where it cannot be unpacked, since
 * the program for that is missing or the cache is full, the packed one does as well.
 */
async function unpacked(kernel: Kernel, options: BootFilesOptions): Promise<Kernel> {
  try {
    const cache = options.cache ?? defaultCacheFolder();
    const path = await cachedVmlinux(kernel.path, cache, options.holding);
    return { ...kernel, path };
  } catch {
    return kernel;
  }
}

async function findBusybox(options: BootFilesOptions): Promise<string> {
  try {
    return join(await fetchOne(BUSYBOX_PACKAGE, options), "bin", "busybox");
  } catch (error) {
    options.signal?.throwIfAborted();
    for (const path of ["bin/busybox", "usr/bin/busybox"]) {
      const own = join(options.host ?? "/", path);
      if (isStaticProgram(own)) return own;
    }
    throw nothingFound(
      "a static busybox",
      error,
      "install the package busybox-static, or pass an initramfs with --initrd PATH",
    );
  }
}

async function fetchOne(name: string, options: BootFilesOptions): Promise<string> {
  const { fetch = fetchPackages, cache, progress, signal } = options;
  const fetched = await fetch([name], {
    ...(cache === undefined ? {} : { cache }),
    ...(progress === undefined ? {} : { progress }),
    ...(signal === undefined ? {} : { signal }),
  });
  signal?.throwIfAborted();
  const root = fetched.get(name)?.root;
  if (root === undefined) throw new VireoError("internal", `Package ${name} was not fetched`);
  return root;
}

function nothingFound(what: string, error: unknown, advice: string): VireoError {
  return new VireoError(
    "environment",
    `Cannot find ${what} to boot: ${errorText(error)}; or ${advice}`,
    { cause: error },
  );
}

/** The kernel in an unpacked package. */
async function kernelIn(root: string): Promise<Kernel> {
  const boot = join(root, "boot");
  for await (const entry of Deno.readDir(boot)) {
    if (entry.name.startsWith("vmlinuz-")) return await givenKernel(join(boot, entry.name));
  }
  throw new VireoError("environment", `There is no vmlinuz in "${boot}"; remove that cache folder`);
}

/** The kernel that the host runs, where we may read it and its modules are there. */
async function hostKernel(host: string): Promise<Kernel | undefined> {
  try {
    const kernel = await givenKernel(join(host, "boot", `vmlinuz-${Deno.osRelease()}`));
    return kernel.modules === undefined ? undefined : kernel;
  } catch {
    // Missing, or readable by root alone, as on Ubuntu: it is the last resort, and the error is about the first one.
    return undefined;
  }
}

/** A kernel by its path. Its modules lie in the same tree, or in the host's. */
async function givenKernel(path: string): Promise<Kernel> {
  const release = await kernelRelease(path);
  if (release === undefined) return { path, release: "unknown" };
  const tree = dirname(dirname(path));
  for (const root of [tree, join(tree, "usr"), "/", "/usr"]) {
    const modules = join(root, "lib", "modules", release);
    if (await isFolder(join(modules, "kernel"))) return { path, release, modules };
  }
  return { path, release };
}

/** As much of a program as its program headers lie in. */
const HEAD_BYTES = 0x8000;

/** Whether a file is an ELF program that needs no interpreter: no dynamic loader lies in the guest. */
function isStaticProgram(path: string): boolean {
  try {
    const head = readNamed(path, HEAD_BYTES);
    const view = viewOf(head);
    if (!isElf(head)) return false;
    const table = view.getUint32(Elf64_Ehdr.e_phoff, true);
    for (let index = 0; index < view.getUint16(Elf64_Ehdr.e_phnum, true); index++) {
      const at = table + index * sizeof(Elf64_Phdr);
      if (view.getUint32(at + Elf64_Phdr.p_type, true) === PT_INTERP) return false;
    }
    return true;
  } catch {
    return false;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
