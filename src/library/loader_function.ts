/**
 * A loader as one function.
 *
 * @module
 */

import type { EntryState } from "../arch/x86_64/registers.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Loader, MachineInfo } from "../machine/loader.ts";

/** A vCPU as a loader sees it. */
export interface LoaderVcpu {
  /** From 0. */
  readonly index: number;
  /**
   * Makes it start like this; one that is not entered waits for INIT and SIPI. The last call counts.
   *
   * @param state every register: see {@linkcode realModeEntry}, {@linkcode pvhEntry} and {@linkcode linux64Entry}
   */
  enter(state: EntryState): void;
}

/** A machine as a loader sees it. */
export interface LoaderMachine {
  /** What the machine is made of. */
  readonly info: MachineInfo;
  /** Its RAM, all zeros; the firmware's tables are written afterwards, below 1 MiB. */
  readonly memory: GuestMemory;
  /** Its vCPUs, none of which runs. */
  readonly vcpus: readonly LoaderVcpu[];
}

/** Fills guest memory and says how vCPUs start. It is asked once a machine. */
export type LoaderFunction = (machine: LoaderMachine) => void | Promise<void>;

/** The loader that a function stands for. */
export function loaderOf(load: LoaderFunction): Loader {
  const states = new Map<MachineInfo, Map<number, EntryState>>();
  return {
    async loadMemory(info, memory) {
      const entered = new Map<number, EntryState>();
      states.set(info, entered);
      const vcpus = Array.from({ length: info.cpus }, (_, index) => ({
        index,
        enter: (state: EntryState) => void entered.set(index, state),
      }));
      await load({ info, memory, vcpus });
    },
    loadVcpu: (info, index) => states.get(info)?.get(index),
  };
}
