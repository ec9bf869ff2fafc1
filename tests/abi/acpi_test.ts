import { assertEquals } from "@std/assert";
import * as acpi from "../../src/abi/acpi.ts";
import { fadt, madt } from "../../src/arch/x86_64/acpi/tables.ts";
import { type Layout, sizeof } from "../../src/base/struct.ts";
import { iasl } from "../support/iasl.ts";
import { requirement } from "../support/require.ts";
import { ACPI_LAYOUTS } from "./acpi_layouts.ts";

/** A machine whose MADT has an entry of each kind. */
const MACHINE = {
  apicIds: [0, 300],
  cpus: 2,
  com1: true,
  rtc: true,
  pvpanic: true,
  virtioMmio: [],
};

/** Where iasl has the fields of a table, those inside of addresses (`[Generic Address Structure]`) apart. */
function disassembled(bytes: Uint8Array): { readonly fields: number[]; readonly gas: number[] } {
  using run = iasl(["-d", "in.aml"], { "in.aml": bytes });
  const text = new TextDecoder().decode(run.read("in.dsl"));
  const lines = [...text.matchAll(/^\[[0-9A-F]+h ([0-9]+) +([0-9]+)\] +(.*?) :/gm)]
    .map(([, offset, length]) => ({ offset: Number(offset), length: Number(length) }));
  const fields: number[] = [];
  const gas: number[] = [];
  let inside = 0;
  for (const { offset, length } of lines) {
    (offset < inside ? gas : fields).push(offset);
    if (length === 12) inside = offset + 12;
  }
  return { fields, gas };
}

/** Offsets of a layout's fields, the header's in place of `Header`. */
function offsetsOf(layout: Layout<never>, base = 0): number[] {
  return Object.entries<number>({ ...layout }).flatMap(([name, offset]) =>
    name === "Header" ? offsetsOf(acpi.AcpiHeader) : [base + offset]
  );
}

Deno.test("abi/acpi has the FADT's fields where iasl has them", requirement("iasl"), () => {
  const { fields, gas } = disassembled(fadt(MACHINE, 0));
  assertEquals(offsetsOf(acpi.AcpiFadt), fields);
  const { AcpiFadt } = acpi;
  assertEquals(gas.slice(0, 5), offsetsOf(acpi.AcpiGas, AcpiFadt.RESET_REG));
});

Deno.test("abi/acpi has the MADT's fields where iasl has them", requirement("iasl"), () => {
  const { fields } = disassembled(madt(MACHINE));
  assertEquals(fields, [
    ...offsetsOf(acpi.AcpiMadt),
    ...offsetsOf(acpi.AcpiMadtLapic, 44),
    ...offsetsOf(acpi.AcpiMadtX2apic, 52),
    ...offsetsOf(acpi.AcpiMadtIoapic, 68),
  ]);
});

Deno.test("abi/acpi has the RSDP's fields where iasl has them", requirement("iasl"), () => {
  // It does not take an RSDP for a table, but gives an empty one with the fields' lengths.
  using run = iasl(["-T", "RSDP"], {});
  const text = new TextDecoder().decode(run.read("rsdp.asl"));
  let end = 0;
  const fields = [...text.matchAll(/^\[([0-9]{4})\]/gm)].map(([, length]) => {
    end += Number(length);
    return end - Number(length);
  });
  assertEquals([...offsetsOf(acpi.AcpiRsdp), sizeof(acpi.AcpiRsdp)], [...fields, end]);
});

Deno.test("abi/acpi has the sizes of ACPI 6.5 §5.2", () => {
  const sizes = ACPI_LAYOUTS.map(sizeof);
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
