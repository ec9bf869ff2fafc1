/**
 * Where a device goes: its windows and its interrupt. Nothing here needs a VM, so that a description can be shown with its places
 * before there is one.
 *
 * @module
 */

import { DEVICE_GSIS, MMIO_ADDRESS, MMIO_END } from "../arch/x86_64/layout.ts";
import { VireoError } from "../base/errors.ts";
import type { BusWindow } from "../bus/bus_device.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import type { AddressSpace } from "../memory/address_space.ts";

/** A device that has its place. */
export interface PlacedDevice {
  readonly id: string;
  readonly windows: readonly BusWindow[];
  /** Interrupt pin, or -1. */
  readonly gsi: number;
}

/** A device's place. */
export interface DevicePlace extends Omit<PlacedDevice, "id"> {
  /** What its windows are called in the address space; whoever takes the device away removes them. */
  readonly names: readonly string[];
}

/** Gives a device its place beside those that have theirs, and claims its windows in guest memory. */
export function placeDevice(
  plan: Pick<DevicePlan, "id" | "windows" | "gsi">,
  addresses: AddressSpace,
  placed: readonly PlacedDevice[],
): DevicePlace {
  const gsi = gsiOf(plan, placed);
  const windows = windowsOf(plan, addresses);
  for (const window of windows) requireFreePort(plan.id, window, placed);
  const names: string[] = [];
  try {
    for (const [index, { bus, base, size }] of windows.entries()) {
      if (bus === "port") continue;
      const name = `${plan.id}.${index}`;
      addresses.addFixed({ name, address: base, size });
      names.push(name);
    }
  } catch (error) {
    for (const name of names) addresses.remove(name);
    throw error;
  }
  return { windows, gsi, names };
}

function windowsOf(
  { windows }: Pick<DevicePlan, "windows">,
  addresses: AddressSpace,
): readonly BusWindow[] {
  if (!("allocate" in windows)) return windows;
  return [{ bus: "memory", base: freeMmio(windows.allocate, addresses), size: windows.allocate }];
}

/** The lowest free place for a virtio-mmio window. */
function freeMmio(size: number, addresses: AddressSpace): number {
  const taken = addresses.fixed();
  for (let base = MMIO_ADDRESS; base + size <= MMIO_END; base += size) {
    const free = taken.every(({ address, size: length }) =>
      base + size <= address || address + length <= base
    );
    if (free) return base;
  }
  throw new VireoError("range", "No room is left for device windows; remove a device");
}

/** Memory windows are checked by the address space; ports have none. */
function requireFreePort(id: string, window: BusWindow, placed: readonly PlacedDevice[]): void {
  if (window.bus !== "port") return;
  for (const device of placed) {
    for (const other of device.windows) {
      if (other.bus !== "port") continue;
      if (window.base >= other.base + other.size || other.base >= window.base + window.size) {
        continue;
      }
      throw new VireoError(
        "range",
        `Port 0x${window.base.toString(16)} of ${id} belongs to ${device.id} already`,
      );
    }
  }
}

/** One edge pin belongs to one device. */
function gsiOf(plan: Pick<DevicePlan, "gsi">, placed: readonly PlacedDevice[]): number {
  if (plan.gsi === undefined || plan.gsi === "none") return -1;
  const taken = new Map(placed.map(({ gsi, id }) => [gsi, id]));
  if (plan.gsi === "allocate") {
    const free = DEVICE_GSIS.find((gsi) => !taken.has(gsi));
    if (free !== undefined) return free;
    throw new VireoError(
      "config",
      `All ${DEVICE_GSIS.length} interrupt pins for devices are in use; use fewer devices`,
    );
  }
  const owner = taken.get(plan.gsi);
  if (owner === undefined) return plan.gsi;
  throw new VireoError("config", `Interrupt ${plan.gsi} belongs to ${owner} already`);
}
