/**
 * What a PC's firmware would leave in memory: ACPI tables, SMBIOS and, for kernels told `acpi=off`, an MP table.
 *
 * @module
 */

import { acpiTables } from "../arch/x86_64/acpi/tables.ts";
import type { AcpiMachine } from "../arch/x86_64/acpi/machine.ts";
import {
  IDENTITY_MAP_ADDRESS,
  IOAPIC_ADDRESS,
  LAPIC_ADDRESS,
  PAGE_SIZE,
  TSS_ADDRESS,
  TSS_SIZE,
} from "../arch/x86_64/layout.ts";
import { fitsMpTable, mpTable } from "../arch/x86_64/mp_table.ts";
import { place } from "../arch/x86_64/placement.ts";
import { smbiosTables } from "../arch/x86_64/smbios.ts";
import { resetStub } from "../arch/x86_64/reset_stub.ts";
import { apicIds } from "../arch/x86_64/topology.ts";
import type { AddressRange } from "../memory/address_space.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { MachineInfo } from "./loader.ts";

/** Where the kernel answers itself: no device there would ever see an access. */
export const RESERVED_RANGES: readonly AddressRange[] = [
  { name: "ioapic", address: IOAPIC_ADDRESS, size: PAGE_SIZE },
  { name: "lapic", address: LAPIC_ADDRESS, size: PAGE_SIZE },
  { name: "identity-map", address: IDENTITY_MAP_ADDRESS, size: PAGE_SIZE },
  { name: "tss", address: TSS_ADDRESS, size: TSS_SIZE },
];

/**
 * Writes the tables for a machine whose devices have their places, no MP table where that cannot hold all vCPUs, and the code at
 * the reset vector.
 */
export function firmwareTables(info: MachineInfo, memory: GuestMemory): void {
  // Nobody would find them elsewhere, and they speak of interrupt controllers.
  if (info.memoryBase !== 0 || !info.interrupts) return;
  const machine = acpiMachine(info);
  place(memory, acpiTables(machine));
  // It has no word for a processor that may come.
  const present = machine.apicIds.slice(0, info.cpus);
  if (fitsMpTable(present)) place(memory, mpTable(present));
  place(memory, smbiosTables({ uuid: info.uuid }));
  place(memory, [resetStub()]);
}

function acpiMachine({ cpus, topology, devices }: MachineInfo): AcpiMachine {
  const has = (kind: string) => devices.some((device) => device.kind === kind);
  return {
    apicIds: apicIds(topology),
    cpus,
    virtioMmio: devices.filter(({ kind }) => kind === "virtio-mmio").map(({ windows, gsi }) => ({
      address: windows[0]?.base ?? 0,
      size: windows[0]?.size ?? 0,
      gsi,
    })),
    com1: has("uart16550"),
    rtc: has("rtc-cmos"),
    pvpanic: has("pvpanic"),
  };
}
