/**
 * How vCPUs are grouped into cores and sockets, and the APIC ids that follow from it (SDM vol. 3A §9.9.5).
 *
 * @module
 */

import { VireoError } from "../../base/errors.ts";

/** Sockets of a machine, cores of a socket, threads of a core. */
export interface Topology {
  /** Of the machine. */
  readonly sockets: number;
  /** Of each socket. */
  readonly cores: number;
  /** Of each core. */
  readonly threads: number;
}

/** One socket with a core for each vCPU. */
export function flatTopology(cpus: number): Topology {
  return { sockets: 1, cores: cpus, threads: 1 };
}

/** Refuses a topology whose product is not the number of vCPUs. */
export function checkTopology({ sockets, cores, threads }: Topology, cpus: number): void {
  const parts = [sockets, cores, threads];
  if (parts.every((n) => Number.isInteger(n) && n > 0) && sockets * cores * threads === cpus) {
    return;
  }
  throw new VireoError(
    "config",
    `Cannot arrange ${cpus} vCPUs as ${sockets} sockets of ${cores} cores of ${threads} threads: ` +
      "the product must be the number of vCPUs",
  );
}

/** Bits of an APIC id that number the threads of a core. */
export function threadBits({ threads }: Topology): number {
  return Math.ceil(Math.log2(threads));
}

/** Bits of an APIC id that number the threads and cores of a socket. */
export function socketShift(topology: Topology): number {
  return threadBits(topology) + Math.ceil(Math.log2(topology.cores));
}

/** Where a vCPU sits. */
export interface CpuPlace {
  readonly socket: number;
  readonly core: number;
  readonly thread: number;
  /** Not simply the vCPU's index where cores or threads are no power of two. */
  readonly apicId: number;
}

/** The place of the vCPU with this index; threads are counted first, then cores, then sockets. */
export function cpuPlace(topology: Topology, index: number): CpuPlace {
  const { cores, threads } = topology;
  const thread = index % threads;
  const core = Math.floor(index / threads) % cores;
  const socket = Math.floor(index / (threads * cores));
  const apicId = socket * 2 ** socketShift(topology) + core * 2 ** threadBits(topology) + thread;
  return { socket, core, thread, apicId };
}

/** APIC ids of all vCPUs, by index. */
export function apicIds(topology: Topology): readonly number[] {
  const count = topology.sockets * topology.cores * topology.threads;
  return Array.from({ length: count }, (_, index) => cpuPlace(topology, index).apicId);
}
