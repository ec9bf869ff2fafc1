/**
 * The initramfs that Vireo makes: a base with busybox, init and modules, which depends on kernel and busybox alone and so is kept
 * in the cache, and a small archive behind it with what one run is to do.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { join } from "../std/path.ts";
import { cacheKey, exists, fileStamp, FolderLock, writeWhole } from "./cache_folder.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import { type GuestTask, INIT_FILES, MARK_PROGRAM, TASK_FOLDER, taskFiles } from "./guest_init.ts";
import { markProgram } from "./mark_program.ts";
import {
  hasModule,
  type KernelModule,
  type ModulesFolder,
  readModulesFolder,
  resolveModules,
} from "./modules.ts";
import { type RunCommand, runCommand } from "./run_command.ts";

/** What the base is made of. */
export interface InitramfsSource {
  /** A static busybox. */
  readonly busybox: string;
  /** The kernel's release, `6.1.0-9-cloud-amd64`. */
  readonly release: string;
  /** The kernel's modules folder; absent for a kernel that has all built in. */
  readonly modules?: string;
}

/**
 * Modules that init loads, in this order: pvpanic first, since a panic before it is loaded looks like a reset; the transport
 * before its devices; the button before acpid's evdev.
 */
export const LOADED_MODULES: readonly string[] = [
  "pvpanic-mmio",
  "virtio_mmio",
  "virtio_console",
  "virtio_blk",
  "virtio-rng",
  "button",
  "evdev",
];

/** Modules that the kernel finds when a user mounts a disk. */
export const MODULES_AT_HAND: readonly string[] = ["ext4", "crc32c_generic"];

/** Without these there is no way to talk to the guest. */
const NEEDED = ["virtio_mmio", "virtio_console"] as const;

/**
 * Makes the base, or finds it in the cache, and gives the path of its archive.
 *
 * @param cache cache folder
 */
export async function baseInitramfs(source: InitramfsSource, cache: string): Promise<string> {
  const folder = join(cache, "initramfs");
  const path = join(folder, `${await baseKey(source)}.cpio`);
  if (await exists(path)) return path;
  using _lock = await FolderLock.take(folder);
  if (!await exists(path)) await writeWhole(path, await buildBase(source));
  return path;
}

/** The archive of one run, to be loaded behind the base. */
export function taskInitramfs(task: GuestTask): Uint8Array<ArrayBuffer> {
  const mark = { kind: "file", path: MARK_PROGRAM, mode: 0o755, data: markProgram() } as const;
  return writeCpio([
    { kind: "directory", path: TASK_FOLDER },
    ...(task.timer ? [mark] : []),
    ...taskFiles(task).map(({ path, text }) => textFile(path, text)),
  ]);
}

/** Builds the base in memory. */
export async function buildBase(source: InitramfsSource): Promise<Uint8Array<ArrayBuffer>> {
  const busybox = await Deno.readFile(source.busybox);
  const applets = await listApplets(source.busybox);
  const modules = source.modules === undefined ? [] : await moduleEntries(
    await readModulesFolder(source.modules),
    source,
  );
  return writeCpio([
    ...FOLDERS.map(([path, mode]) => ({ kind: "directory", path, mode }) as const),
    { kind: "character", path: "dev/console", major: 5, minor: 1 },
    { kind: "symlink", path: "var/run", target: "/run" },
    { kind: "symlink", path: "etc/mtab", target: "/proc/mounts" },
    { kind: "file", path: "bin/busybox", mode: 0o755, data: busybox },
    ...applets.map((path) => ({ kind: "symlink", path, target: "/bin/busybox" }) as const),
    ...INIT_FILES.map(({ path, mode, text }) => textFile(path, text, mode)),
    ...modules,
    textFile("etc/modules", `${modules.length === 0 ? "" : LOADED_MODULES.join(" ")}\n`),
  ]);
}

const FOLDERS: readonly (readonly [path: string, mode: number])[] = [
  ...[
    "bin",
    "dev",
    "etc",
    "etc/acpi",
    "etc/acpi/PWRF",
    "lib",
    "mnt",
    "proc",
    "run",
    "sbin",
    "sys",
    "usr",
    "usr/bin",
    "usr/sbin",
    "var",
  ].map((path) => [path, 0o755] as const),
  ["root", 0o700],
  ["tmp", 0o1777],
];

/** Paths of the names that this busybox answers to, below `/`. */
async function listApplets(busybox: string): Promise<string[]> {
  const { status, stdout, stderr } = await runCommand(busybox, ["--list-full"]);
  const list = new TextDecoder().decode(stdout).split("\n").filter((path) => path !== "");
  const missing = APPLETS.find((name) => !list.some((path) => path.endsWith(`/${name}`)));
  if (status === 0 && missing === undefined) {
    return list.filter((path) => path !== "bin/busybox");
  }
  throw new VireoError(
    "environment",
    `Cannot use "${busybox}" in the guest: ${
      status === 0 ? `it has no ${missing}` : `--list-full ended with status ${status} ${stderr}`
    }; install the package busybox-static`,
  );
}

/** What init runs. */
const APPLETS = ["sh", "mount", "modprobe", "acpid", "setsid", "poweroff", "reboot", "sync"];

/** The modules and the tables that busybox' modprobe reads. */
async function moduleEntries(
  folder: ModulesFolder,
  { release, busybox }: InitramfsSource,
): Promise<CpioEntry[]> {
  for (const name of NEEDED) {
    if (!hasModule(folder, name)) {
      throw new VireoError(
        "environment",
        `Cannot boot kernel ${release} with Vireo's init: "${folder.path}" has no ${name}; ` +
          "pass another kernel with --kernel",
      );
    }
  }
  const wanted = [...LOADED_MODULES, ...MODULES_AT_HAND];
  const modules = await resolveModules(folder, wanted, unpackWith(busybox));
  const home = `lib/modules/${release}`;
  const builtin = [...folder.builtin].map((name) => `kernel/${name}.ko\n`).join("");
  return [
    { kind: "directory", path: "lib/modules" },
    { kind: "directory", path: home },
    ...modules.map(({ name, data }) =>
      ({ kind: "file", path: `${home}/${name}.ko`, data }) as const
    ),
    textFile(`${home}/modules.dep`, modules.map(dependencyLine).join("")),
    textFile(`${home}/modules.alias`, modules.flatMap(aliasLines).join("")),
    textFile(`${home}/modules.builtin`, builtin),
  ];
}

/** Runs decompressors; busybox' own for xz, which a slim system lacks. */
function unpackWith(busybox: string): RunCommand {
  return (command, args, options) =>
    command === "xz"
      ? runCommand(busybox, [command, ...args], options)
      : runCommand(command, args, options);
}

function dependencyLine({ name, depends }: KernelModule): string {
  return `${name}.ko:${depends.map((need) => ` ${need}.ko`).join("")}\n`;
}

function aliasLines({ name, aliases }: KernelModule): string[] {
  return aliases.map((alias) => `alias ${alias} ${name}\n`);
}

function textFile(path: string, text: string, mode = 0o644): CpioEntry {
  return { kind: "file", path, mode, data: new TextEncoder().encode(text) };
}

/** Names a base by all that goes into it; files of packages never change, so their size and time say enough. */
async function baseKey(source: InitramfsSource): Promise<string> {
  return await cacheKey([
    await fileStamp(source.busybox),
    source.release,
    source.modules === undefined ? null : await fileStamp(source.modules),
    INIT_FILES,
    LOADED_MODULES,
    MODULES_AT_HAND,
    FOLDERS,
  ]);
}
