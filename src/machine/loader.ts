/**
 * What puts a program into a machine before it runs.
 *
 * @module
 */

import type { RamRegion } from "../arch/x86_64/layout.ts";
import type { EntryState } from "../arch/x86_64/registers.ts";
import type { Topology } from "../arch/x86_64/topology.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { AddressRange } from "../memory/address_space.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";

/** What a loader is told about the machine. */
export interface MachineInfo {
  /** For the guest's SMBIOS; null for none. */
  readonly uuid: string | null;
  /** Bytes of RAM. */
  readonly memorySize: number;
  /** Guest physical address of its first byte. */
  readonly memoryBase: number;
  /** Whether there are interrupt controllers. */
  readonly interrupts: boolean;
  /** RAM regions in ascending order. */
  readonly ram: readonly RamRegion[];
  /** Windows in guest physical memory that are not RAM. */
  readonly windows: readonly AddressRange[];
  /** vCPUs. */
  readonly cpus: number;
  /** How all are grouped, those included that the guest only makes room for. */
  readonly topology: Topology;
  /** Devices in the guest's order: kind, windows, interrupts. */
  readonly devices: readonly DeviceDescriptor[];
  /** Where the ACPI RSDP lies. */
  readonly rsdpAddress: number;
}

/** Fills guest memory and says how each vCPU starts. */
export interface Loader {
  /**
   * Begins with what takes long and asks for RAM alone, reading files above all: called before there is a VM, it goes on while the
   * machine is built. What it starts it finishes before its promise settles.
   *
   * @param ram regions in ascending order
   * @param memory all zeros
   */
  begin?(ram: readonly RamRegion[], memory: GuestMemory): void | Promise<void>;

  /**
   * Fills guest memory. What it starts it finishes before its promise settles: nothing may write to guest memory afterwards.
   */
  loadMemory(info: MachineInfo, memory: GuestMemory): void | Promise<void>;

  /**
   * How a vCPU starts, asked when memory is loaded; undefined for one that waits for INIT and SIPI, as all but the first do
   * on a PC.
   *
   * @param index of the vCPU, from 0
   */
  loadVcpu(info: MachineInfo, index: number): EntryState | undefined;
}
