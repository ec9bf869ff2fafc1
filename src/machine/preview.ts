/**
 * A machine's addresses and interrupts before there is a machine: no KVM is touched.
 *
 * @module
 */

import { HOLE_ADDRESS, splitRam } from "../arch/x86_64/layout.ts";
import { apicIds, flatTopology } from "../arch/x86_64/topology.ts";
import { ConfigError, errorText } from "../base/errors.ts";
import type { BusWindow } from "../bus/bus_device.ts";
import { type MachineConfig, machineConfig } from "../config/machine_config.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { type PlacedDevice, placeDevice } from "./device_place.ts";
import { devicePlans } from "./device_plans.ts";
import { RESERVED_RANGES } from "./firmware.ts";
import type { Resources } from "./resources.ts";

/** A memory slot of KVM. */
export interface PreviewSlot {
  readonly slot: number;
  readonly address: number;
  readonly size: number;
}

/** A device with its place. */
export interface PreviewDevice {
  readonly id: string;
  /** What it is: `uart16550`, `virtio-mmio blk`. */
  readonly kind: string;
  readonly windows: readonly BusWindow[];
  /** Interrupt pin, or -1. */
  readonly gsi: number;
}

/** What {@linkcode previewMachine} finds. */
export interface Preview {
  readonly slots: readonly PreviewSlot[];
  readonly devices: readonly PreviewDevice[];
  /** APIC ids of the vCPUs in their order. */
  readonly apicIds: readonly number[];
  /** APIC ids of those that the guest only makes room for. */
  readonly laterApicIds: readonly number[];
}

/** Width that every address of the layout fits in; the host's own is known only to its KVM. */
const PHYSICAL_BITS = 52;

/** Places everything as the builder will. */
export function previewMachine(
  given: Partial<MachineConfig>,
  resources: Pick<Resources, "disks">,
): Preview {
  const config = machineConfig(given);
  const ram = splitRam(config.memory, PHYSICAL_BITS, config.memoryBase);
  const addresses = new AddressSpace({
    physicalBits: PHYSICAL_BITS,
    allocateFrom: HOLE_ADDRESS,
    reserved: RESERVED_RANGES,
  });
  ram.forEach((region, i) => addresses.addRam({ name: `ram${i}`, ...region }));
  const placed: PlacedDevice[] = [];
  const devices = devicePlans(config, resources).map((plan) => {
    const { windows, gsi } = placeOrExplain(plan, addresses, placed);
    placed.push({ id: plan.id, windows, gsi });
    return { id: plan.id, kind: kindOf(plan), windows, gsi };
  });
  const ids = apicIds(config.topology ?? flatTopology(config.maxCpus ?? config.cpus));
  return {
    slots: ram.map((region, slot) => ({ slot, ...region })),
    devices,
    apicIds: ids.slice(0, config.cpus),
    laterApicIds: ids.slice(config.cpus),
  };
}

function placeOrExplain(
  plan: DevicePlan,
  addresses: AddressSpace,
  placed: readonly PlacedDevice[],
) {
  try {
    return placeDevice(plan, addresses, placed);
  } catch (error) {
    throw new ConfigError(plan.id, errorText(error), { cause: error });
  }
}

function kindOf({ kind, options }: DevicePlan): string {
  const device = options?.["device"];
  return typeof device === "string" ? `${kind} ${device}` : kind;
}
