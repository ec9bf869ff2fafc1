/**
 * What `vireo boot` boots: a kernel and an initramfs, as given, from the cache, from Debian's archive, or the host's own.
 *
 * @module
 */

import { setup_header, SETUP_HEADER_OFFSET } from "../abi/boot.ts";
import { errorText, VireoError } from "../base/errors.ts";
import { readNamed } from "../host/named_file.ts";
import { dirname, join } from "../std/path.ts";
import { defaultCacheFolder } from "./cache_folder.ts";
import { baseInitramfs } from "./initramfs.ts";
import { fetchPackages } from "./packages.ts";

/** What is given, and how to get the rest. */
export interface BootFilesOptions {
  /** Path of a bzImage. */
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

const KERNEL_PACKAGE = "linux-image-cloud-amd64";
const BUSYBOX_PACKAGE = "busybox-static";

async function findKernel(options: BootFilesOptions): Promise<Kernel> {
  try {
    const root = await fetchOne(KERNEL_PACKAGE, options);
    return await kernelIn(root);
  } catch (error) {
    options.signal?.throwIfAborted();
    const own = await hostKernel(options.host ?? "/");
    if (own) return own;
    throw nothingFound("a kernel", error, "pass a bzImage with --kernel PATH");
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
    `Cannot find ${what} to boot: ${errorText(error)}; ${advice}`,
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
  const release = kernelRelease(path);
  if (release === undefined) return { path, release: "unknown" };
  const tree = dirname(dirname(path));
  for (const root of [tree, join(tree, "usr"), "/", "/usr"]) {
    const modules = join(root, "lib", "modules", release);
    if (await isFolder(join(modules, "kernel"))) return { path, release, modules };
  }
  return { path, release };
}

/** Where `kernel_version` counts from (boot.rst). */
const VERSION_BASE = 0x200;
const HEAD_BYTES = 0x8000;

/** The release that a bzImage says it is, `6.1.0-9-cloud-amd64`; undefined for one that doesn't. */
export function kernelRelease(path: string): string | undefined {
  const head = readHead(path);
  const pointer = SETUP_HEADER_OFFSET + setup_header.kernel_version;
  if (head.length < pointer + 2) return undefined;
  const at = new DataView(head.buffer).getUint16(pointer, true);
  if (at === 0) return undefined;
  const text = new TextDecoder().decode(head.subarray(at + VERSION_BASE, at + VERSION_BASE + 256));
  return /^([\w.+~-]+)[\s\0]/.exec(text)?.[1];
}

function readHead(path: string): Uint8Array<ArrayBuffer> {
  try {
    return readNamed(path, HEAD_BYTES);
  } catch (error) {
    throw new VireoError("load_memory", `Cannot read kernel "${path}": ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** Whether a file is an ELF program that needs no interpreter: no dynamic loader lies in the guest. */
function isStaticProgram(path: string): boolean {
  try {
    const head = readHead(path);
    const view = new DataView(head.buffer);
    if (view.getUint32(0) !== 0x7f454c46) return false;
    const table = view.getUint32(ELF.e_phoff, true);
    for (let index = 0; index < view.getUint16(ELF.e_phnum, true); index++) {
      if (view.getUint32(table + index * ELF.phentsize, true) === ELF.PT_INTERP) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** Offsets of Elf64_Ehdr, the size of Elf64_Phdr, and a segment's type. */
const ELF = { e_phoff: 32, e_phnum: 56, phentsize: 56, PT_INTERP: 3 } as const;

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
