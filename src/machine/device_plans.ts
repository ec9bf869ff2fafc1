/**
 * From a machine's description to the plans of its devices, in the guest's order.
 *
 * @module
 */

import {
  ACPI_GED_GSI,
  ACPI_PORT,
  COM1_GSI,
  COM1_PORT,
  DEBUG_EXIT_PORT,
  I8042_DATA_PORT,
  MARKER_PORT,
  PVPANIC_PORT,
  RTC_GSI,
  RTC_PORT,
} from "../arch/x86_64/layout.ts";
import { VireoError } from "../base/errors.ts";
import type {
  ConsoleConfig,
  DiskConfig,
  MachineConfig,
  PortConfig,
  RngOptions,
  ScratchDiskConfig,
} from "../config/machine_config.ts";
import { acpiPm } from "../devices/acpi_pm.ts";
import { debugExit } from "../devices/debug_port.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import { i8042 } from "../devices/i8042.ts";
import { markerPort } from "../devices/marker_port.ts";
import { pvpanic } from "../devices/pvpanic.ts";
import { rtcCmos } from "../devices/rtc_cmos.ts";
import { uart16550 } from "../devices/uart16550_plan.ts";
import { ioUringAvailable } from "../storage/uring_file.ts";
import { blkSpec } from "../virtio/blk_spec.ts";
import { consoleSpec } from "../virtio/console.ts";
import { consolePortsSpec, type PortOptions } from "../virtio/console_ports.ts";
import { virtioMmioPlan } from "../virtio/mmio_plan.ts";
import { RNG_SPEC } from "../virtio/rng.ts";
import type { Resources } from "./resources.ts";

/** Id of COM1. */
export const SERIAL_ID = "serial0";
/** Id of the terminal. */
export const CONSOLE_ID = "console0";
/** Id of the ACPI registers, the power button among them. */
export const ACPI_ID = "acpi0";

/** The devices of a machine. */
export function devicePlans(
  config: MachineConfig,
  resources: Pick<Resources, "disks" | "entropy">,
): readonly DevicePlan[] {
  return [...chipPlans(config), ...virtioPlans(config, resources)];
}

/** What a guest expects at fixed places. */
function chipPlans({ serial, debugExit: hasDebugExit, bootTimer }: MachineConfig): DevicePlan[] {
  const com1 = { id: SERIAL_ID, port: COM1_PORT, gsi: COM1_GSI };
  return [
    ...(serial === null ? [] : [uart16550({ ...com1, ...serial })]),
    i8042({ id: "i8042", dataPort: I8042_DATA_PORT }),
    rtcCmos({ id: "rtc0", port: RTC_PORT, gsi: RTC_GSI }),
    acpiPm({ id: ACPI_ID, port: ACPI_PORT, gsi: ACPI_GED_GSI }),
    pvpanic({ id: "pvpanic0", port: PVPANIC_PORT }),
    ...(hasDebugExit ? [debugExit({ id: "debug-exit", port: DEBUG_EXIT_PORT })] : []),
    ...(bootTimer ? [markerPort({ id: "marker-port", port: MARKER_PORT })] : []),
  ];
}

/** In this order the guest numbers them: console, data ports, disks, entropy. */
function virtioPlans(
  config: MachineConfig,
  resources: Pick<Resources, "disks" | "entropy">,
): DevicePlan[] {
  return [
    ...(config.console === null ? [] : [consolePlan(config.console)]),
    ...(config.ports.length === 0 ? [] : [portsPlan(config.ports)]),
    ...config.disks.map((disk, index) => diskPlan(disk, index, resources)),
    ...(config.rng ? [rngPlan(config.rngOptions, resources)] : []),
  ];
}

function consolePlan(
  { input, output, listener = -1, escape, columns, rows }: ConsoleConfig,
): DevicePlan {
  return virtioMmioPlan({
    id: CONSOLE_ID,
    device: "console",
    spec: consoleSpec({ columns, rows }),
    fds: { input, output, listener },
    options: { escape },
  });
}

function portsPlan(ports: readonly PortConfig[]): DevicePlan {
  const fds: Record<string, number> = {};
  const options = ports.map(({ name, input, output, control }, index): PortOptions => {
    if (input >= 0) fds[`input${index}`] = input;
    if (output >= 0) fds[`output${index}`] = output;
    return {
      name,
      input: input >= 0 ? `input${index}` : null,
      output: output >= 0 ? `output${index}` : null,
      control,
    };
  });
  const spec = consolePortsSpec(ports.length);
  return virtioMmioPlan({
    id: "ports0",
    device: "console-ports",
    spec,
    fds,
    options: { ports: options },
  });
}

function rngPlan(
  { maxBytes, period = 1000 }: RngOptions,
  { entropy }: Pick<Resources, "entropy">,
): DevicePlan {
  return virtioMmioPlan({
    id: "rng0",
    device: "rng",
    spec: RNG_SPEC,
    fds: { source: entropy?.number ?? -1 },
    options: maxBytes === undefined ? {} : { maxBytes, period },
  });
}

function diskPlan(
  disk: DiskConfig | ScratchDiskConfig,
  index: number,
  resources: Pick<Resources, "disks" | "entropy">,
): DevicePlan {
  const image = resources.disks[index];
  if (image === undefined) throw new VireoError("internal", `Disk ${index} was not opened`);
  const id = disk.id ?? `disk${index}`;
  const { size, readonly, direct } = image;
  const writeback = disk.cache !== "writethrough";
  const limits = { size, readonly, discard: !readonly };
  const engine = ioUringAvailable() ? "io_uring" : "blocking";
  return virtioMmioPlan({
    id,
    device: "blk",
    spec: blkSpec(limits, writeback),
    fds: { image: image.fd.number, direct: direct?.fd ?? -1 },
    options: {
      ...limits,
      serial: disk.serial ?? id.slice(0, 20),
      engine,
      writeback,
      unsafe: disk.cache === "unsafe",
      alignment: direct?.alignment ?? 0,
    },
    blocking: engine === "blocking",
  });
}
