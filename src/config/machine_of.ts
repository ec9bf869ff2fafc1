/**
 * From a description to what a machine is built from.
 *
 * @module
 */

import type { CpuFeatureName } from "./cpu_features.ts";
import type { Description, DiskDescription } from "./description.ts";
import type {
  ConsoleConfig,
  DiskConfig,
  MachineConfig,
  ScratchDiskConfig,
  SerialConfig,
} from "./machine_config.ts";

/** What the description only names, and somebody has opened. */
export interface Backends {
  readonly console: ConsoleConfig | null;
  readonly serial: SerialConfig | null;
}

/** The machine that is described, on these backends. */
export function machineOf(description: Description, backends: Backends): Partial<MachineConfig> {
  const { uuid, machine, cpu, memory, disk, rng } = description;
  const { count, max, sockets, cores, threads, features } = cpu;
  const { size, base, ...memoryOptions } = memory;
  return {
    ...backends,
    ...(machine.interrupts ? {} : { console: null }),
    kvm: machine.kvm,
    interrupts: machine.interrupts,
    memoryBase: base,
    uuid: uuid ?? null,
    cpus: count,
    maxCpus: max,
    topology: { sockets, cores, threads },
    withoutFeatures: features.map((feature) => feature.slice(1) as CpuFeatureName),
    memory: size,
    memoryOptions,
    disks: disk.map(diskOf),
    rng: rng.source !== "none" && machine.interrupts,
    rngOptions: {
      ...(rng.source.startsWith("/") ? { path: rng.source } : {}),
      ...(rng.max_bytes === undefined ? {} : { maxBytes: rng.max_bytes }),
      period: rng.period,
    },
  };
}

function diskOf({ id, path, size, readonly, serial, cache }: DiskDescription) {
  const disk = { id, readonly, serial, cache };
  const named: DiskConfig | ScratchDiskConfig = path === undefined
    ? { ...disk, size: size ?? 0 }
    : { ...disk, path };
  return named;
}
