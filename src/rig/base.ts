/**
 * What every rig starts from, built once into the cache out of Debian packages: L1's kernel, its initramfs and its root.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import {
  defaultCacheFolder,
  FolderLock,
  makeTemporary,
  removeTemporary,
} from "../boot/cache_folder.ts";
import { type CpioEntry, writeCpio } from "../boot/cpio.ts";
import { readModulesFolder, resolveModules } from "../boot/modules.ts";
import { type FetchedPackage, fetchPackages } from "../boot/packages.ts";
import { runCommand } from "../boot/run_command.ts";
import { extractVmlinux } from "../boot/vmlinux.ts";
import { dirname, join } from "../std/path.ts";
import { kernelOf, pruneBuilds, useBuild } from "./builds.ts";
import { encodeText } from "./frame.ts";
import { INITRAMFS_INIT } from "./init.ts";
import { installPrograms } from "./programs.ts";

/** How to prepare a rig. */
export interface PrepareOptions {
  /** Told what goes on, a line at a time without a newline. */
  readonly progress: (line: string) => void;
  /** Cache folder, `$XDG_CACHE_HOME/vireo` or `~/.cache/vireo` if absent. */
  readonly cache?: string;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal;
}

/** What a rig starts from, as paths; nobody removes it before its dispose. */
export interface RigBase extends Disposable {
  /** Uncompressed kernel with a PVH entry. */
  readonly kernel: string;
  /** Initramfs that mounts the root. */
  readonly initramfs: string;
  /** Folder that becomes L1's root, read only. */
  readonly root: string;
}

const KERNEL_PACKAGE = "linux-image-amd64";

/** L1's userland: what Deno needs, and tools for tests. */
const PACKAGES = [
  "busybox-static",
  "libc6",
  "libgcc-s1",
  // script(1), for terminals
  "bsdutils",
  // coreutils and what it is linked with
  ...["coreutils", "libacl1", "libattr1", "libcap2", "libgmp10", "libselinux1", "libpcre2-8-0"],
  // strace and what it is linked with
  ...["strace", "libunwind8", "liblzma5"],
];

/** What coreutils is linked with too from Debian 13 on. */
const PACKAGES_DEBIAN_13 = ["libssl3t64", "libsystemd0"];

/** What the initramfs needs to reach the root, besides what these depend on. */
const INITRAMFS_MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];

/** What a Debian system has in /etc and no package brings. */
const FILES = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
  "etc/group": "root:x:0:\ntty:x:5:\nkvm:x:104:\nnogroup:x:65534:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/hostname": "rig\n",
};

/** Counts changes of what is built from the same packages. */
const REVISION = 1;

/**
 * Gives the rig's kernel, initramfs and root, from the cache or else built from Debian packages. QEMU and the other
 * programs that a rig needs are installed with apt where we are root.
 *
 * @throws VireoError `environment` that names the command to install what is missing
 */
export async function prepareRig(options: PrepareOptions): Promise<RigBase> {
  await installPrograms(options.progress, options.signal);
  const cache = options.cache ?? defaultCacheFolder();
  const packages = await fetchPackages(await packageNames(), { ...options, cache });
  const folder = join(cache, "rig");
  const target = join(folder, await keyOf(packages.values()));
  for (;;) {
    const used = useBuild(target);
    if (used !== undefined) {
      return { ...pathsIn(target), [Symbol.dispose]: () => used[Symbol.dispose]() };
    }
    using _lock = await FolderLock.take(folder);
    if (!await exists(target)) await build(folder, target, packages, options);
    await pruneBuilds(folder, target);
  }
}

async function packageNames(): Promise<string[]> {
  const release = await Deno.readTextFile("/etc/os-release").catch(() => "");
  // Debian's unstable has no number.
  const version = Number(/^VERSION_ID="?(\d+)/m.exec(release)?.[1] ?? Infinity);
  return [KERNEL_PACKAGE, ...PACKAGES, ...version >= 13 ? PACKAGES_DEBIAN_13 : []];
}

function pathsIn(folder: string): Omit<RigBase, typeof Symbol.dispose> {
  return {
    kernel: kernelOf(folder),
    initramfs: join(folder, "initramfs.cpio"),
    root: join(folder, "root"),
  };
}

/** A name for what is built from just these versions. */
async function keyOf(packages: Iterable<FetchedPackage>): Promise<string> {
  const versions = Array.from(packages, ({ name, version }) => `${name}=${version}`).sort();
  const text = [REVISION, INITRAMFS_INIT, ...versions].join("\n");
  const digest = await crypto.subtle.digest("SHA-256", encodeText(text));
  return new Uint8Array(digest).slice(0, 8).toHex();
}

async function build(
  folder: string,
  target: string,
  packages: Map<string, FetchedPackage>,
  { progress, signal }: PrepareOptions,
): Promise<void> {
  progress("Building the rig");
  await removeTemporary(folder);
  const draft = await makeTemporary(folder);
  const { kernel, initramfs, root } = pathsIn(draft);
  await Deno.mkdir(root);
  for (const fetched of packages.values()) {
    signal?.throwIfAborted();
    await run("cp", ["-al", `${fetched.root}/.`, root]);
  }
  const release = await completeRoot(root);
  progress("Unpacking the rig's kernel");
  signal?.throwIfAborted();
  const image = join(root, "boot", `vmlinuz-${release}`);
  await Deno.writeFile(kernel, await extractVmlinux(await Deno.readFile(image), image));
  await Deno.writeFile(initramfs, writeCpio(await initramfsEntries(root, release)));
  await Deno.rename(draft, target);
}

/** Makes a system of what the packages hold; the release of its kernel. */
async function completeRoot(root: string): Promise<string> {
  // Packages of newer releases have everything below /usr and leave the links to another package.
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    if (!await exists(join(root, name))) await Deno.symlink(`usr/${name}`, join(root, name));
  }
  if (!await exists(join(root, "lib/modules"))) {
    await Deno.symlink("../usr/lib/modules", join(root, "lib/modules"));
  }
  for (const [path, text] of Object.entries(FILES)) {
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  }
  await linkApplets(root);
  const [release] = await namesIn(join(root, "lib/modules"));
  if (release === undefined) {
    throw new VireoError("environment", `Cannot build the rig: ${KERNEL_PACKAGE} has no modules`);
  }
  await run(busyboxIn(root), ["depmod", "-b", root, release]);
  return release;
}

/** Gives each busybox applet its name where no package brings the real program; the shell is where scripts look for it. */
async function linkApplets(root: string): Promise<void> {
  const folders = ["bin", "sbin", "usr/bin", "usr/sbin"];
  const names = await Promise.all(folders.map((name) => namesIn(join(root, name))));
  const taken = new Set(["", ...names.flat()]);
  const applets = (await run(busyboxIn(root), ["--list"])).split("\n");
  for (const applet of applets.filter((applet) => !taken.has(applet))) {
    const folder = applet === "sh" ? "bin" : "usr/bin";
    await Deno.symlink("/bin/busybox", join(root, folder, applet));
  }
}

async function initramfsEntries(root: string, release: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [
    { kind: "directory", path: "dev" },
    { kind: "character", path: "dev/console", major: 5, minor: 1 },
    { kind: "directory", path: "bin" },
    { kind: "file", path: "bin/busybox", mode: 0o755, data: await Deno.readFile(busyboxIn(root)) },
    { kind: "file", path: "init", mode: 0o755, data: encodeText(INITRAMFS_INIT) },
  ];
  const folder = await readModulesFolder(join(root, "lib/modules", release));
  const modules = await resolveModules(folder, INITRAMFS_MODULES);
  for (const { name, data } of modules) entries.push({ kind: "file", path: name, data });
  const names = modules.map(({ name }) => name).join("\n");
  entries.push({ kind: "file", path: "modules", data: encodeText(names) });
  return entries;
}

function busyboxIn(root: string): string {
  return join(root, "bin/busybox");
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  return names;
}

/** Runs a program; its output. */
async function run(command: string, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand(command, args);
  if (status === 0) return new TextDecoder().decode(stdout);
  throw new VireoError(
    "environment",
    `Cannot build the rig: ${command} ended with status ${status}: ${stderr}`,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
