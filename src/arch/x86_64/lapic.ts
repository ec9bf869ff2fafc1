/**
 * The local APIC's wiring as firmware leaves it ("virtual wire mode", Intel MP 1.4 §3.6.2.2).
 *
 * @module
 */

import { APIC_DM_EXTINT, APIC_DM_NMI, APIC_LVT0, APIC_LVT1 } from "../../abi/x86.ts";
import { viewOf } from "../../base/bytes.ts";

/**
 * Points LINT0 at the 8259 and LINT1 at NMI, in place: kernels without ACPI take their first interrupts that way.
 *
 * @param registers the page that KVM_GET_LAPIC gives, 1024 bytes
 */
export function wireLapic(registers: Uint8Array): void {
  const view = viewOf(registers);
  view.setUint32(APIC_LVT0, APIC_DM_EXTINT, true);
  view.setUint32(APIC_LVT1, APIC_DM_NMI, true);
}
