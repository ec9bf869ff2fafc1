/**
 * A machine from its description, for programs.
 *
 * @module
 */

import { isAskedFor, type LogEntry, type Logger } from "../base/log.ts";
import type { Description } from "../config/description.ts";
import { machineOf } from "../config/machine_of.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import type { KvmDriver } from "../kvm/driver.ts";
import { type BuildHooks, buildMachine } from "../machine/builder.ts";
import type { DeviceMessage } from "../machine/events.ts";
import { linuxLoader } from "../machine/linux.ts";
import type { Loader } from "../machine/loader.ts";
import type { Machine } from "../machine/machine.ts";
import { type Platform, x86Platform } from "../machine/platform.ts";
import { openResources } from "../machine/resources.ts";
import { openBackends } from "./backends.ts";
import { type LoaderFunction, loaderOf } from "./loader_function.ts";
import { LogFile } from "./log_file.ts";
import { describeMachine, type MachineSource } from "./machine_source.ts";

/** What a machine has that no description can say: code. */
export interface MachineOptions {
  /** Loads a guest of the program's own, in place of the description's kernel. */
  readonly loader?: Loader | LoaderFunction;
  /** Called while the machine is built: `onCreateVm`, `onCreateVmWithMemory`, `onCreateVcpu`. */
  readonly hooks?: BuildHooks;
  /** What is to be done otherwise than on a usual x86-64 machine. */
  readonly platform?: Partial<Platform>;
  /** Devices behind the description's: of the program's own, {@linkcode virtioDevice} and {@linkcode busDevice}; and others. */
  readonly devices?: readonly DevicePlan[];
  /** Modules of devices that are to be added later, by {@linkcode Machine.addDevice}. */
  readonly modules?: readonly (URL | string)[];
  /** Takes what happens, down to the description's `log.level`, beside `log.file`; without either nothing is said. */
  readonly logger?: Logger;
  /** Takes messages of devices: lines on a control port, keys of the console. */
  readonly onMessage?: (device: string, message: DeviceMessage) => void;
  /** The kernel's door; the real one where absent. For tests. */
  readonly driver?: KvmDriver;
}

/**
 * Builds a machine with nothing running.
 *
 * ```ts ignore
 * await using machine = await createMachine({ kernel: { path: "vmlinuz" }, cpu: { count: 2 } });
 * const { reason } = await machine.run({ signal: AbortSignal.timeout(60_000) });
 * ```
 *
 * @param source what it is: an object, a TOML file, or options as text
 * @returns the machine, which closes everything that was opened for it when it is closed
 * @throws ConfigError with a line for each mistake of the description; VireoError whose kind is the stage that failed, or `device`
 *   where a module cannot be loaded or does not make its device, after everything made before it has been released
 */
export async function createMachine(
  source: MachineSource,
  options: MachineOptions = {},
): Promise<Machine> {
  const { loader, hooks, platform, devices, modules, logger, onMessage, driver } = options;
  const description = describeMachine(source, { hasLoader: loader !== undefined });
  using stack = new DisposableStack();
  const file = stack.use(LogFile.of(description));
  const backends = stack.use(openBackends(description, undefined));
  const config = machineOf(description, backends);
  const resources = stack.use(openResources(
    { disks: [], ...config },
    (index) => `disk[${index}].path`,
  ));
  const note = noteTaker(description, file, logger);
  return await buildMachine(config, {
    loader: loader === undefined ? kernelLoader(description.kernel) : plainLoader(loader),
    resources,
    ptys: backends.ptys,
    holding: stack.move(),
    platform: { ...x86Platform, ...platform },
    owner: {
      ...(onMessage === undefined ? {} : { message: onMessage }),
      warning: (source, message) => note({ level: "warn", source, message, data: {} }),
      note,
    },
    ...(hooks === undefined ? {} : { hooks }),
    ...(devices === undefined ? {} : { devices }),
    ...(modules === undefined ? {} : { modules }),
    ...(driver === undefined ? {} : { driver }),
  });
}

/** The loader of a described kernel. */
export function kernelLoader({ path, initrd, cmdline, entry }: Description["kernel"]): Loader {
  const parts = initrd === undefined ? [] : [initrd];
  return linuxLoader({ kernel: path, initrd: parts, commandLine: cmdline, entry });
}

function plainLoader(loader: Loader | LoaderFunction): Loader {
  return typeof loader === "function" ? loaderOf(loader) : loader;
}

/** Passes on what is at least as important as the description asks for; what the file does not take, the logger hears of. */
function noteTaker(
  { log }: Pick<Description, "log">,
  file: LogFile | undefined,
  logger: Logger | undefined,
): (entry: LogEntry) => void {
  return (entry) => {
    if (!isAskedFor(entry, log.level)) return;
    logger?.log(entry);
    const failure = file?.add(entry);
    if (failure === undefined) return;
    logger?.log({ level: "error", source: "machine", message: failure, data: {} });
  };
}
