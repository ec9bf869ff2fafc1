/**
 * Our layouts of ACPI's tables: iasl, which is a C program, is asked where it has their fields.
 *
 * @module
 */

import * as acpi from "../../src/abi/acpi.ts";

/** All of them. */
export const ACPI_LAYOUTS = [
  acpi.AcpiRsdp,
  acpi.AcpiHeader,
  acpi.AcpiGas,
  acpi.AcpiFadt,
  acpi.AcpiMadt,
  acpi.AcpiMadtLapic,
  acpi.AcpiMadtX2apic,
  acpi.AcpiMadtIoapic,
] as const;
