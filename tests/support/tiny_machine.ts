/**
 * Machines for tiny guests.
 *
 * @module
 */

import type { MachineConfig } from "../../src/config/machine_config.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";

/** A machine of 4 MiB that can end itself by the debug port. */
export function tinyMachine(
  loader: Loader,
  config: Partial<MachineConfig> = {},
): Promise<Machine> {
  return buildMachine({ memory: 4 * 2 ** 20, rng: false, debugExit: true, ...config }, { loader });
}
