/**
 * A machine's description: one frozen value from which everything is built. It names what the machine has, not how it is
 * made, and knows no device class.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";
import type { CpuFeatureName } from "./cpu_features.ts";

/**
 * How a disk's writes reach the host's medium. `writeback`: with the guest's next flush. `writethrough`: each before it ends.
 * `none`: as `writeback`, past the host's page cache. `unsafe`: whenever the host likes.
 */
export type DiskCache = "writeback" | "writethrough" | "none" | "unsafe";

/** A raw disk image. */
export interface DiskConfig {
  /** Name of its device; `disk0` and so on where absent. */
  readonly id?: string;
  /** File or block device. */
  readonly path: string;
  /** The guest may not write; false where absent. */
  readonly readonly?: boolean;
  /** What the guest reads by VIRTIO_BLK_T_GET_ID, at most 20 bytes; the disk's id where absent. */
  readonly serial?: string;
  /** `writeback` where absent. */
  readonly cache?: DiskCache;
}

/** An empty disk that is gone with the machine. */
export interface ScratchDiskConfig {
  /** Name of its device; `disk0` and so on where absent. */
  readonly id?: string;
  /** Bytes, a multiple of 512. */
  readonly size: number;
  /** The guest may not write. */
  readonly readonly?: boolean;
  /** What the guest reads by VIRTIO_BLK_T_GET_ID, at most 20 bytes; the disk's id where absent. */
  readonly serial?: string;
  /** `writeback` where absent. */
  readonly cache?: DiskCache;
}

/** How vCPUs are grouped; the product is the number of all that there may be. */
export interface CpuTopologyConfig {
  /** Of the machine. */
  readonly sockets: number;
  /** Of each socket. */
  readonly cores: number;
  /** Of each core. */
  readonly threads: number;
}

/** What RAM is made of; nothing of it where absent. */
export interface MemoryOptions {
  /** File that holds it; made, or emptied, at the start. */
  readonly path?: string;
  /** A shared mapping; always with a path. */
  readonly shared?: boolean;
  /** 2 MiB pages of the host's pool. */
  readonly hugepages?: boolean;
  /** All pages are there from the start. */
  readonly prealloc?: boolean;
  /** Never swapped out. */
  readonly lock?: boolean;
}

/** The terminal: a virtio console device without ports. Descriptors are borrowed: whoever opened them closes them. */
export interface ConsoleConfig {
  /** Descriptor that the guest's input is read from, or -1. */
  readonly input: number;
  /** Descriptor that the guest's output is written to, or -1. */
  readonly output: number;
  /** Instead of both, a listening socket whose clients are served one after another; absent for none. */
  readonly listener?: number;
  /** Whether Ctrl-A is a prefix: x quits, h helps. */
  readonly escape: boolean;
  /** Width in characters. */
  readonly columns: number;
  /** Height in characters. */
  readonly rows: number;
}

/** One port of the data console. Descriptors are borrowed. */
export interface PortConfig {
  /** As the guest sees it in /sys/class/virtio-ports: `vireo.stdin`. */
  readonly name: string;
  /** Descriptor whose bytes go to the guest, or -1. */
  readonly input: number;
  /** Descriptor that the guest's bytes go to, or -1. */
  readonly output: number;
  /** Whether the guest's bytes are lines for the machine's owner instead. */
  readonly control: boolean;
}

/** The serial port COM1. Its output is kept in a ring in any case. Descriptors are borrowed. */
export interface SerialConfig {
  /** Descriptor that its input is read from, or -1. */
  readonly input: number;
  /** Descriptor that its output is written to as well, or -1. */
  readonly output: number;
  /** Instead of both, a listening socket whose clients are served one after another; absent for none. */
  readonly listener?: number;
}

/** What an entropy device gives; the host kernel's random bytes, as many as are wanted, where absent. */
export interface RngOptions {
  /** A character device, a FIFO, or a file, which is given out once. */
  readonly path?: string;
  /** Most bytes in each period. */
  readonly maxBytes?: number;
  /** Milliseconds; 1000 where absent. */
  readonly period?: number;
}

/** What one vCPU has of its own. */
export interface VcpuConfig {
  /** The host's processors that its thread may run on, numbered from 0; any where absent. */
  readonly pin?: readonly number[];
}

/** A machine. */
export interface MachineConfig {
  /** As RFC 9562 writes it, and as the guest finds it in SMBIOS; null for none. */
  readonly uuid: string | null;
  /** vCPUs, 1 to 255. */
  readonly cpus: number;
  /** vCPUs that the guest makes room for, at least `cpus`; as many as those where it is null. */
  readonly maxCpus: number | null;
  /** How all of `maxCpus` are grouped; one socket with a core for each where it is null. */
  readonly topology: CpuTopologyConfig | null;
  /** Features of the host's processor that the guest does not see. */
  readonly withoutFeatures: readonly CpuFeatureName[];
  /** What each vCPU has of its own, as many as there are; an empty list where that is nothing. */
  readonly vcpus: readonly VcpuConfig[];
  /** Path of KVM's device. */
  readonly kvm: string;
  /** Interrupt controllers; without them no device interrupts, and virtio devices are useless. */
  readonly interrupts: boolean;
  /** Bytes of RAM, a multiple of 4096. */
  readonly memory: number;
  /** Guest physical address of the first byte of RAM, a multiple of 4096. */
  readonly memoryBase: number;
  /** What RAM is made of. */
  readonly memoryOptions: MemoryOptions;
  /** COM1, or null. */
  readonly serial: SerialConfig | null;
  /** The terminal, or null. */
  readonly console: ConsoleConfig | null;
  /** Ports of the data console; no such device where the list is empty. */
  readonly ports: readonly PortConfig[];
  /** Disks in the guest's order. */
  readonly disks: readonly (DiskConfig | ScratchDiskConfig)[];
  /** An entropy device. */
  readonly rng: boolean;
  /** What it gives and how fast. */
  readonly rngOptions: RngOptions;
  /** A port by which a guest ends the machine with a number: 0xf4. For tests. */
  readonly debugExit: boolean;
  /** Notes how far the machine's start has got when, and gives the guest a port to note more: 0xe9. */
  readonly bootTimer: boolean;
  /** No vCPU enters the guest until all workers are ready. */
  readonly startBarrier: boolean;
}

/** What is not given. */
export const DEFAULT_MACHINE: MachineConfig = Object.freeze({
  uuid: null,
  cpus: 1,
  maxCpus: null,
  topology: null,
  withoutFeatures: [],
  vcpus: [],
  kvm: "/dev/kvm",
  interrupts: true,
  memory: 2 ** 30,
  memoryBase: 0,
  memoryOptions: {},
  serial: { input: -1, output: -1 },
  console: null,
  ports: [],
  disks: [],
  rng: true,
  rngOptions: {},
  debugExit: false,
  bootTimer: false,
  startBarrier: false,
});

/** Most vCPUs: APIC id 255 is the broadcast. */
export const MAX_CPUS = 255;
/** Least RAM: the first MiB, where the tables lie. */
export const MIN_MEMORY = 2 ** 20;
/** Most RAM. */
export const MAX_MEMORY = 2 ** 40;

/** A UUID in its usual form: five groups of hexadecimal digits (RFC 9562 §4). */
export const UUID_PATTERN = /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/;

/** RAM comes in pages. */
export const PAGE_SIZE = 4096;

/** Bytes of a huge page. */
export const HUGE_PAGE_SIZE: number = 2 ** 21;

/** Completes a description with the defaults, checks it, and freezes it. */
export function machineConfig(given: Partial<MachineConfig>): MachineConfig {
  const config = { ...DEFAULT_MACHINE, ...given };
  const { cpus, memory } = config;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_CPUS) {
    throw new ConfigError("cpus", `${cpus} is not a number of vCPUs; give 1 to ${MAX_CPUS}`);
  }
  const most = config.maxCpus ?? cpus;
  if (!Number.isInteger(most) || most < cpus || most > MAX_CPUS) {
    throw new ConfigError("maxCpus", `${most} is not possible; give ${cpus} to ${MAX_CPUS}`);
  }
  if (config.uuid !== null && !UUID_PATTERN.test(config.uuid)) {
    throw new ConfigError("uuid", `"${config.uuid}" is none; give one as uuidgen prints it`);
  }
  checkVcpus(config);
  if (!Number.isInteger(memory) || memory < MIN_MEMORY || memory > MAX_MEMORY) {
    throw new ConfigError("memory", `${memory} bytes are not possible; give 1 MiB to 1 TiB`);
  }
  if (memory % PAGE_SIZE !== 0) {
    throw new ConfigError(
      "memory",
      `${memory} bytes are not whole pages; give a multiple of 4 KiB`,
    );
  }
  for (const [index, disk] of config.disks.entries()) {
    if ("size" in disk) continue;
    if (disk.path === "" || disk.path.includes("\0")) {
      throw new ConfigError(
        `disks[${index}].path`,
        "the path is empty or holds NUL; name a file or block device",
      );
    }
  }
  return Object.freeze(config);
}

/** What the kernel's mask of processors has room for here. */
const MAX_HOST_CPUS = 1024;

function checkVcpus({ cpus, vcpus }: MachineConfig): void {
  if (vcpus.length !== 0 && vcpus.length !== cpus) {
    throw new ConfigError(
      "vcpus",
      `it has ${vcpus.length} entries for ${cpus} vCPUs; give one for each, or none`,
    );
  }
  for (const [index, { pin }] of vcpus.entries()) {
    const isCpu = (cpu: number) => Number.isInteger(cpu) && cpu >= 0 && cpu < MAX_HOST_CPUS;
    if (pin === undefined || (pin.length > 0 && pin.every(isCpu))) continue;
    throw new ConfigError(
      `vcpus[${index}].pin`,
      `"${pin.join()}" are no processors; give numbers from 0 on, or leave pin out`,
    );
  }
}
