/**
 * Which modules of the program's the workers of a machine import. They do so once, at their start: later they sit in KVM_RUN or
 * epoll, and import nothing more.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { MODULE_KIND, type ModuleUse } from "../devices/device_modules.ts";
import { moduleUrl } from "../devices/own_device.ts";
import type { DevicePlan } from "../devices/device_plan.ts";

/** Modules by the workers that import them. */
export interface MachineModules {
  /** Of vCPUs. */
  readonly fronts: readonly ModuleUse[];
  /** Of I/O. */
  readonly backs: readonly ModuleUse[];
}

/**
 * The modules of a machine.
 *
 * @param devices that it is built with
 * @param more modules of devices that may be added later, for either half
 */
export function machineModules(
  devices: readonly DeviceDescriptor[],
  more: readonly (URL | string)[],
): MachineModules {
  const later = more.map((module) => ({ url: moduleUrl(module, "of later devices"), device: "" }));
  const own = devices.flatMap(({ id, kind, module, worker }) =>
    module === undefined ? [] : [{ use: { url: module, device: id }, kind, worker }]
  );
  return {
    fronts: once([
      ...own.filter(({ kind }) => kind === MODULE_KIND).map(({ use }) => use),
      ...later,
    ]),
    backs: once([...own.filter(({ worker }) => worker >= 0).map(({ use }) => use), ...later]),
  };
}

/**
 * Sees that the workers have a device's module.
 *
 * @throws VireoError of kind `unsupported` where they do not
 */
export function requireLoaded(
  { id, kind, module, back = "none" }: DevicePlan,
  { fronts, backs }: MachineModules,
): void {
  if (module === undefined) return;
  const has = (uses: readonly ModuleUse[]) => uses.some(({ url }) => url === module);
  if ((kind !== MODULE_KIND || has(fronts)) && (back === "none" || has(backs))) return;
  throw new VireoError(
    "unsupported",
    `Cannot add device "${id}": the machine's workers have not loaded ${module}; ` +
      "name it among `modules` where the machine is made",
  );
}

/**
 * The error of a worker that makes no devices in time.
 *
 * @param timeout ms
 */
export function notReady(who: string, timeout: number, modules: readonly ModuleUse[]): VireoError {
  const names = modules.map(({ url, device }) => `${url} (device "${device}")`).join(", ");
  return new VireoError(
    "device",
    `${who} has not made its devices within ${timeout} ms; see which module comes to no end: ${names}`,
  );
}

function once(uses: readonly ModuleUse[]): ModuleUse[] {
  return uses.filter(({ url }, index) => uses.findIndex((use) => use.url === url) === index);
}
