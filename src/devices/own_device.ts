/**
 * Devices of a program's own, as the program plans them: the code is a module that it names by a URL, since the workers that run it
 * share none with the isolate that builds the machine.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { MODULE_KIND } from "./device_modules.ts";
import type { DevicePlan } from "./device_plan.ts";

/** A device of the program's own with registers. */
export interface BusDeviceOptions extends Omit<DevicePlan, "kind" | "module" | "createState"> {
  /**
   * `new URL("./my_device.ts", import.meta.url)`: a module that exports `front`, a {@linkcode FrontFactory}; and `back`, a
   * {@linkcode BackFactory}, where `back` of this plan is not `none`.
   */
  readonly module: URL | string;
  /**
   * Bytes of shared state, zeros at first: each vCPU has a front of its own, and this is what the fronts and the back have in
   * common. It begins at `state` of the descriptor, in `state` of the context. 0 where absent.
   */
  readonly stateSize?: number;
}

/**
 * A device with registers (I/O ports, or memory that is not RAM) whose code is a module of the program's: each access of the guest
 * calls the module's front, in the worker of the vCPU that made it.
 *
 * ```ts ignore
 * busDevice({
 *   id: "square0",
 *   module: new URL("./square_device.ts", import.meta.url),
 *   windows: [{ bus: "port", base: 0x510, size: 1 }],
 *   stateSize: 4,
 * })
 * ```
 *
 * @throws VireoError of kind `config` where the module is no URL
 */
export function busDevice({ module, stateSize = 0, ...plan }: BusDeviceOptions): DevicePlan {
  return {
    ...plan,
    kind: MODULE_KIND,
    module: moduleUrl(module, `of device "${plan.id}"`),
    ...(stateSize > 0 ? { createState: (state) => state.allocate(stateSize, plan.id) } : {}),
  };
}

/**
 * The URL by which workers import a module.
 *
 * @param whose for the error: `of device "own0"`
 * @throws VireoError of kind `config` for what is relative, which a worker would take for something else
 */
export function moduleUrl(module: URL | string, whose: string): string {
  const url = URL.parse(module);
  if (url !== null) return url.href;
  const text = JSON.stringify(module);
  throw new VireoError(
    "config",
    `Cannot tell where the module ${text} ${whose} is; give it as new URL(${text}, import.meta.url)`,
  );
}
