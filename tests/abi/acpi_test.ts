import { assertEquals } from "@std/assert";
import * as acpi from "../../src/abi/acpi.ts";
import { sizeof } from "../../src/base/struct.ts";

Deno.test("abi/acpi has the sizes of ACPI 6.5 §5.2", () => {
  const sizes = [
    acpi.AcpiRsdp,
    acpi.AcpiHeader,
    acpi.AcpiGas,
    acpi.AcpiFadt,
    acpi.AcpiMadt,
    acpi.AcpiMadtLapic,
    acpi.AcpiMadtX2apic,
    acpi.AcpiMadtIoapic,
  ].map(sizeof);
  assertEquals(sizes, [36, 36, 12, 276, 44, 8, 16, 12]);
});

Deno.test("abi/acpi has the FADT's offsets of ACPI 6.5 table 5.9", () => {
  const { AcpiFadt } = acpi;
  assertEquals(
    [
      AcpiFadt.DSDT,
      AcpiFadt.SCI_INT,
      AcpiFadt.P_LVL2_LAT,
      AcpiFadt.CENTURY,
      AcpiFadt.IAPC_BOOT_ARCH,
      AcpiFadt.Flags,
      AcpiFadt.RESET_REG,
      AcpiFadt.RESET_VALUE,
      AcpiFadt.X_DSDT,
      AcpiFadt.SLEEP_CONTROL_REG,
      AcpiFadt.SLEEP_STATUS_REG,
      AcpiFadt.Hypervisor_Vendor_Identity,
    ],
    [40, 46, 96, 108, 109, 112, 116, 128, 140, 244, 256, 268],
  );
});
