/**
 * Whether this process may open what a machine needs. Deno ends the process, with a panic, where it runs out of descriptors while it
 * starts a worker: so that is known before.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { MachineConfig } from "../config/machine_config.ts";
import { makeDescriptorRoom } from "../host/descriptor_limit.ts";

/** KVM, its VM, the board's chips and the I/O worker. */
const MACHINE = 26;
/** A vCPU and its worker: KVM's two descriptors, and the six of Deno's own. */
const VCPU = 8;
/** An image, its eventfds, and the worker or ring that serves it. */
const DISK = 12;

/**
 * Sees that there are descriptors enough, and raises the soft limit where that helps.
 *
 * @throws VireoError `environment` where the hard limit is too low
 */
export function requireDescriptors({ cpus, disks }: Pick<MachineConfig, "cpus" | "disks">): void {
  const room = makeDescriptorRoom(MACHINE + VCPU * cpus + DISK * disks.length);
  if (room.enough) return;
  throw new VireoError(
    "environment",
    `Cannot build this machine with ${room.limit} descriptors: it needs ${room.needed}; ` +
      `raise the limit of open files: ulimit -n ${room.needed}`,
  );
}
