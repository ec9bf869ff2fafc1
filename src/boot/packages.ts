/**
 * Debian packages as folders in the cache: fetched with apt, unpacked, never installed. What was fetched once is there for
 * good and needs no network.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { join } from "../std/path.ts";
import { Apt, type AptRecord, UnavailableError } from "./apt.ts";
import {
  cannotRead,
  cannotWrite,
  defaultCacheFolder,
  FolderLock,
  isDiskFull,
  makeTemporary,
  removeTemporary,
  requireRoom,
  roomIn,
  writeWhole,
} from "./cache_folder.ts";
import { type RunCommand, runCommand } from "./run_command.ts";

/** A package in the cache. */
export interface FetchedPackage {
  /** Name of the package, which differs from the asked one where that was a meta package. */
  readonly name: string;
  /** Debian's version. */
  readonly version: string;
  /** Folder that holds its files as they would lie below `/`. */
  readonly root: string;
}

/** How to fetch. */
export interface FetchOptions {
  /** Cache folder, {@linkcode defaultCacheFolder} if absent. */
  readonly cache?: string;
  /** Debian release that the packages are of, `trixie`; as this system's sources say if absent. */
  readonly suite?: string;
  /** Told what goes on, in one line without a newline: seldom enough to print. */
  readonly progress?: (line: string) => void;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal;
  /** Runs apt and dpkg-deb; tests put their own here. */
  readonly run?: RunCommand;
  /** Bytes that are free on a folder's disk; tests put their own here. */
  readonly room?: (folder: string) => number;
}

/** The lists of a Debian release take half as much; apt waits for ever where the disk gets full under it. */
const LISTS = { needed: 48 * 2 ** 20, what: "Debian's package lists" } as const;

/**
 * Gives the named packages as unpacked folders, from the cache or else from Debian's archive. Kernel meta packages such as
 * `linux-image-cloud-amd64` are followed to the kernel they stand for. Another process that fetches is waited for.
 *
 * @throws VireoError `environment` where apt, the network, the package or the space is missing
 */
export async function fetchPackages(
  names: readonly string[],
  options: FetchOptions = {},
): Promise<Map<string, FetchedPackage>> {
  const { suite } = options;
  const folder = join(
    options.cache ?? defaultCacheFolder(),
    suite === undefined ? "packages" : `packages-${suite}`,
  );
  const cached = await findCached(folder, names);
  if (cached.size === names.length) return cached;
  options.progress?.("Looking for packages");
  using _lock = await FolderLock.take(folder);
  await removeTemporary(folder);
  const found = await findCached(folder, names);
  const missing = names.filter((name) => !found.has(name));
  for (const [name, fetched] of await fetchMissing(folder, missing, options)) {
    found.set(name, fetched);
  }
  return found;
}

/** The packages that are in the cache, by the names they are asked for with. */
async function findCached(
  folder: string,
  names: readonly string[],
): Promise<Map<string, FetchedPackage>> {
  const found = new Map<string, FetchedPackage>();
  for (const name of names) {
    const fetched = await readNote(folder, name);
    if (fetched) found.set(name, fetched);
  }
  return found;
}

/** The note says which folder a name stands for. A broken one counts as none: it is written anew. */
async function readNote(folder: string, name: string): Promise<FetchedPackage | undefined> {
  try {
    const note = JSON.parse(await Deno.readTextFile(notePath(folder, name)));
    if (typeof note.name !== "string" || typeof note.version !== "string") return undefined;
    const root = rootPath(folder, note);
    return (await Deno.stat(root)).isDirectory
      ? { name: note.name, version: note.version, root }
      : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw cannotRead(notePath(folder, name), error);
  }
}

/** The system's lists may be missing, or so old that the archive has moved on: then lists of our own do. */
async function fetchMissing(
  folder: string,
  names: readonly string[],
  options: FetchOptions,
): Promise<Map<string, FetchedPackage>> {
  const run = options.run ?? runCommand;
  if (names.length === 0) return new Map();
  const { suite, room = roomIn } = options;
  try {
    if (suite === undefined) {
      return await fetchThrough(Apt.system(run), folder, names, options);
    }
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
  }
  requireRoom(folder, room(folder), LISTS);
  options.progress?.("Fetching Debian's package lists");
  const lists = join(folder, "..", suite === undefined ? "apt" : `apt-${suite}`);
  const apt = suite === undefined
    ? await Apt.own(run, lists)
    : await Apt.release(run, lists, suite);
  const complaint = await apt.update(options.signal);
  try {
    return await fetchThrough(apt, folder, names, options);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    if (complaint !== undefined && isDiskFull(complaint)) throw cannotWrite(lists, complaint);
    throw new VireoError(
      "environment",
      `${error.message}${
        complaint ? `; apt-get update: ${complaint}` : ""
      }; check the network and apt's sources`,
      { cause: error },
    );
  }
}

async function fetchThrough(
  apt: Apt,
  folder: string,
  names: readonly string[],
  options: FetchOptions,
): Promise<Map<string, FetchedPackage>> {
  const fetched = new Map<string, FetchedPackage>();
  for (const name of names) fetched.set(name, await fetchOne(apt, folder, name, options));
  return fetched;
}

async function fetchOne(
  apt: Apt,
  folder: string,
  name: string,
  options: FetchOptions,
): Promise<FetchedPackage> {
  const records = await resolveParts(apt, name, options.signal);
  const [main] = records;
  const { room = roomIn } = options;
  const needed = records.reduce((sum, { size, installedSize }) => sum + size + installedSize, 0);
  requireRoom(folder, room(folder), { needed, what: `package ${main.name}` });
  const draft = await makeTemporary(folder);
  try {
    for (const record of records) await fetchInto(draft, apt, record, options);
    const root = rootPath(folder, main);
    await Deno.remove(root, { recursive: true }).catch(() => {});
    await Deno.rename(join(draft, "root"), root);
    await writeWhole(
      notePath(folder, name),
      JSON.stringify({ name: main.name, version: main.version }),
    );
    return { name: main.name, version: main.version, root };
  } finally {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
  }
}

/**
 * The package, or what a kernel meta package stands for, and the packages that newer archives split a kernel into
 * (`linux-binary-…`, `linux-modules-…`).
 */
async function resolveParts(
  apt: Apt,
  name: string,
  signal: AbortSignal | undefined,
): Promise<[AptRecord, ...AptRecord[]]> {
  const asked = await apt.show(name, signal);
  const target = kernelMetaTarget(asked);
  const main = target === undefined ? asked : await apt.show(target, signal);
  const parts: [AptRecord, ...AptRecord[]] = [main];
  for (const part of kernelParts(main)) parts.push(await apt.show(part, signal));
  return parts;
}

/** The kernel that a meta package stands for: `linux-image-cloud-amd64` depends on `linux-image-6.1.0-9-cloud-amd64`. */
export function kernelMetaTarget(record: AptRecord): string | undefined {
  if (!/^linux-image-(?!\d)/.test(record.name)) return undefined;
  return record.depends.find((name) => /^linux-image-\d/.test(name));
}

function kernelParts(record: AptRecord): string[] {
  if (!/^linux-image-\d/.test(record.name)) return [];
  return record.depends.filter((name) => /^linux-(binary|modules)-\d/.test(name));
}

/** Fetches one package file and unpacks it into `draft/root`. */
async function fetchInto(
  draft: string,
  apt: Apt,
  record: AptRecord,
  options: FetchOptions,
): Promise<void> {
  const { progress, signal } = options;
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  const downloaded = await apt.download(record, draft, {
    progress: everyQuarterSecond((part) => {
      const done = megabytes(part * record.size);
      progress?.(`Fetching ${record.name}: ${done} of ${megabytes(record.size)} MB`);
    }),
    ...(signal ? { signal } : {}),
  });
  progress?.(`Unpacking ${record.name}`);
  const root = join(draft, "root");
  const run = options.run ?? runCommand;
  const { status, stderr } = await run(
    "dpkg-deb",
    ["-x", downloaded, root],
    signal ? { signal } : {},
  );
  if (status !== 0) throw cannotWrite(root, `dpkg-deb -x: ${complaintOf(stderr)}`);
  await Deno.remove(downloaded);
}

/** tar complains about each file: a full disk says it all, and otherwise the end. */
function complaintOf(stderr: string): string {
  const lines = stderr.split("\n");
  return lines.find(isDiskFull) ?? lines.at(-1) ?? "";
}

function everyQuarterSecond(report: (part: number) => void): (part: number) => void {
  let next = 0;
  return (part) => {
    const now = performance.now();
    if (now < next) return;
    next = now + 250;
    report(part);
  };
}

function notePath(folder: string, name: string): string {
  return join(folder, `${name}.json`);
}

function rootPath(folder: string, record: { name: string; version: string }): string {
  return join(folder, `${record.name}_${encodeURIComponent(record.version)}`);
}
