/**
 * What several keys of a description must have to do with each other.
 *
 * @module
 */

import type { Description } from "./description.ts";
import { HUGE_PAGE_SIZE, MAX_CPUS } from "./machine_config.ts";
import type { Mistake } from "./mistake.ts";

/** A mistake without its place. */
export interface Found extends Pick<Mistake, "key" | "problem" | "allowed"> {
  /** Keys that it is concluded from, besides its own: where one of them is wrong by itself, it says nothing. */
  readonly from?: readonly string[];
}

/**
 * Finds what does not go together.
 *
 * @param whole the description with its defaults
 * @param given good values by key
 * @param bad keys that are wrong by themselves and say nothing
 * @param hasLoader whether a program's own loader stands in for the kernel
 */
export function crossCheck(
  whole: Description,
  given: ReadonlyMap<string, unknown>,
  bad: ReadonlySet<string>,
  hasLoader: boolean,
): Found[] {
  return [
    ...(hasLoader ? noKernel(given) : [...required(given), ...linux(whole)]),
    ...interrupts(whole),
    ...topology(whole, given),
    ...hugePages(whole),
    ...disks(whole),
    ...backends(whole),
    ...files(whole),
  ].filter(({ key, from = [] }) => ![key, ...from].some((one) => bad.has(one)));
}

function required(given: ReadonlyMap<string, unknown>): Found[] {
  if (given.has("kernel.path")) return [];
  return [{ key: "kernel.path", problem: "It is missing", allowed: "the path of a kernel" }];
}

/** What a program's own loader does not need. */
function noKernel(given: ReadonlyMap<string, unknown>): Found[] {
  if (!given.has("kernel.path")) return [];
  return [{
    key: "kernel.path",
    problem: "A loader is given too",
    allowed: "one of a kernel and a loader",
  }];
}

/** What Linux wants of a machine. */
function linux({ machine, memory }: Description): Found[] {
  return [
    ...(machine.interrupts ? [] : ["machine.interrupts"]),
    ...(memory.base === 0 ? [] : ["memory.base"]),
  ].map((key) => ({
    key,
    problem: "Linux does not run on this machine",
    allowed: "the default, or a loader of the program's own in place of a kernel",
  }));
}

function interrupts({ machine, disk }: Description): Found[] {
  if (machine.interrupts || disk.length === 0) return [];
  return [{
    key: "disk",
    problem: "A disk needs interrupts",
    allowed: "no disk with machine.interrupts = false",
    from: ["machine.interrupts"],
  }];
}

function topology({ cpu }: Description, given: ReadonlyMap<string, unknown>): Found[] {
  const { count, max, sockets, cores, threads } = cpu;
  const key = given.has("cpu.max") ? "cpu.max" : "cpu.count";
  const from = ["cpu.count", "cpu.max"];
  if (max < count) {
    return [{
      key,
      problem: `It is less than cpu.count, ${count}`,
      allowed: `${count} or more`,
      from,
    }];
  }
  const product = sockets * cores * threads;
  if (product === max && max <= MAX_CPUS) {
    return apicIds(cpu).map((found) => ({ ...found, key, from }));
  }
  return [{
    key,
    problem: `${max} vCPUs cannot be ${sockets} sockets of ${cores} cores of ${threads} threads`,
    allowed: `the product of sockets, cores and threads, at most ${MAX_CPUS}`,
    from: [...from, "cpu.sockets", "cpu.cores", "cpu.threads"],
  }];
}

/** Each core and socket takes a power of two of APIC ids, and a guest without interrupt remapping uses those below 255. */
function apicIds(
  { sockets, cores, threads }: Description["cpu"],
): Pick<Found, "problem" | "allowed">[] {
  const perCore = 2 ** Math.ceil(Math.log2(threads));
  const perSocket = perCore * 2 ** Math.ceil(Math.log2(cores));
  const last = (sockets - 1) * perSocket + (cores - 1) * perCore + threads - 1;
  if (last < MAX_CPUS) return [];
  const problem =
    `The last vCPU would have the APIC id ${last}, since cores and sockets begin at ` +
    "powers of two";
  return [{ problem, allowed: `APIC ids up to ${MAX_CPUS - 1}` }];
}

function hugePages({ memory }: Description): Found[] {
  if (!memory.hugepages) return [];
  if (memory.path !== undefined) {
    return [{
      key: "memory.hugepages",
      problem: "Memory with a path has the pages of that file's system",
      allowed: "one of memory.hugepages and memory.path; name a file on a hugetlbfs",
    }];
  }
  if (memory.size % HUGE_PAGE_SIZE === 0) return [];
  return [{
    key: "memory.size",
    problem: "It is no whole number of huge pages",
    allowed: "a multiple of 2M with memory.hugepages",
  }];
}

function disks({ disk }: Description): Found[] {
  const found: Found[] = [];
  for (const [index, { id, path, size }] of disk.entries()) {
    const key = `disk[${index}]`;
    if ((path === undefined) === (size === undefined)) {
      const problem = path === undefined ? "Neither path nor size is given" : "Both are given";
      found.push({
        key,
        problem,
        allowed: "one of path and size",
        from: [`${key}.path`, `${key}.size`],
      });
    }
    const same = disk.findIndex((other) => other.id === id);
    if (same < index) {
      found.push({
        key: `${key}.id`,
        problem: `disk[${same}] has the id "${id}" too`,
        allowed: "an id of its own",
      });
    }
  }
  return found;
}

/** What `sockaddr_un` has room for besides its NUL. */
const SOCKET_PATH_MAX = 107;

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function backends({ console, serial }: Description): Found[] {
  const found: Found[] = [];
  for (const [table, { backend, path }] of Object.entries({ console, serial })) {
    const key = `${table}.path`;
    const from = [`${table}.backend`];
    if (backend === "unix" && path !== undefined && byteLength(path) > SOCKET_PATH_MAX) {
      const problem = `A socket's path has at most ${SOCKET_PATH_MAX} bytes, and "${path}" more`;
      found.push({ key, problem, allowed: "a shorter path", from });
    }
    if ((backend === "file" || backend === "unix") === (path !== undefined)) continue;
    const problem = path === undefined
      ? `It is missing for the backend "${backend}"`
      : `The backend "${backend}" has no path`;
    const allowed = path === undefined ? "a path" : `a path with backend = "file" or "unix" only`;
    found.push({ key, problem, allowed, from });
  }
  if (console.backend === "stdio" && serial.backend === "stdio") {
    found.push({
      key: "serial.backend",
      problem: 'The console is on "stdio" already, and a terminal is for one of them',
      allowed: 'another backend, or console.backend = "none"',
      from: ["console.backend"],
    });
  }
  return found;
}

/** One file for two writers, or for one that reads what the other writes. */
function files({ disk, console, serial, memory, log, kernel, rng }: Description): Found[] {
  const uses = [
    { key: "kernel.path", path: kernel.path, writes: false },
    { key: "kernel.initrd", path: kernel.initrd, writes: false },
    ...disk.map(({ path, readonly }, i) => ({ key: `disk[${i}].path`, path, writes: !readonly })),
    { key: "rng.source", path: rng.source, writes: false },
    { key: "memory.path", path: memory.path, writes: true },
    { key: "console.path", path: console.path, writes: true },
    { key: "serial.path", path: serial.path, writes: true },
    { key: "log.file", path: log.file, writes: true },
  ].filter(({ path }) => path !== undefined);
  return uses.flatMap(({ key, path, writes }, index) => {
    const other = uses.slice(0, index).find((use) => use.path === path && (use.writes || writes));
    if (other === undefined) return [];
    return [{ key, problem: `${other.key} is the same file`, allowed: "a file of its own" }];
  });
}
