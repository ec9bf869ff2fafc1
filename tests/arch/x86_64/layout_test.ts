import { assert, assertEquals, assertThrows } from "@std/assert";
import { VireoError } from "../../../src/base/errors.ts";
import * as layout from "../../../src/arch/x86_64/layout.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

for (
  const [size, regions] of [
    [512 * MIB, [[0, 512 * MIB]]],
    [3327 * MIB, [[0, 3327 * MIB]]],
    [3328 * MIB, [[0, 3328 * MIB]]],
    [3329 * MIB, [[0, 3328 * MIB], [4 * GIB, MIB]]],
    [5 * GIB, [[0, 3328 * MIB], [4 * GIB, 1792 * MIB]]],
    [64 * GIB, [[0, 3328 * MIB], [4 * GIB, 64 * GIB - 3328 * MIB]]],
  ] as const
) {
  Deno.test(`splitRam(${size / MIB} MiB) leaves the hole below 4 GiB free (row 0.19)`, () => {
    assertEquals(layout.splitRam(size), regions.map(([address, size]) => ({ address, size })));
  });
}

Deno.test("splitRam() begins where it is told, and refuses a place in the hole (row 1.7)", () => {
  const base = 0x40000000;
  assertEquals(layout.splitRam(512 * MIB, 52, base), [{ address: base, size: 512 * MIB }]);
  assertEquals(layout.splitRam(4 * GIB, 52, base), [
    { address: base, size: 2304 * MIB },
    { address: 4 * GIB, size: 1792 * MIB },
  ]);
  assertThrows(() => layout.splitRam(MIB, 52, layout.HOLE_ADDRESS), VireoError, "below 3328 MiB");
  assertThrows(() => layout.splitRam(MIB, 52, 5), VireoError, "multiple of 4 KiB");
});

for (const size of [0, -4096, 1.5, NaN, MIB - 4096, MIB + 1]) {
  Deno.test(`splitRam(${size}) is refused`, () => {
    assertThrows(() => layout.splitRam(size), VireoError, `Cannot make ${size} bytes`);
  });
}

Deno.test("splitRam() refuses RAM above the physical address width (row 4.4)", () => {
  assertEquals(layout.splitRam(2 ** 36 - 768 * MIB, 36).length, 2);
  assertThrows(() => layout.splitRam(2 ** 36, 36), VireoError, "have 36 bits on this host");
  assertThrows(() => layout.splitRam(2 ** 32, 32), VireoError, "at most 3489660928 bytes");
});

Deno.test("the rows of the memory map do not overlap", () => {
  const rows: readonly (readonly [string, number, number])[] = [
    ["gdt", layout.BOOT_GDT_ADDRESS, layout.BOOT_IDT_ADDRESS],
    ["start info", layout.PVH_START_INFO_ADDRESS, layout.PVH_START_INFO_ADDRESS + 0x1000],
    ["zero page", layout.ZERO_PAGE_ADDRESS, layout.ZERO_PAGE_ADDRESS + 0x1000],
    [
      "page tables",
      layout.PAGE_TABLES_ADDRESS,
      layout.PAGE_TABLES_ADDRESS + layout.PAGE_TABLES_SIZE,
    ],
    [
      "command line",
      layout.COMMAND_LINE_ADDRESS,
      layout.COMMAND_LINE_ADDRESS + layout.COMMAND_LINE_MAX_SIZE,
    ],
    ["ebda", layout.EBDA_ADDRESS, layout.EBDA_END],
    ["rsdp", layout.RSDP_ADDRESS, layout.ACPI_TABLES_ADDRESS],
    ["acpi", layout.ACPI_TABLES_ADDRESS, layout.ACPI_TABLES_END],
    ["mp table", layout.MP_TABLE_ADDRESS, layout.MP_TABLE_END],
    ["smbios", layout.SMBIOS_ADDRESS, layout.SMBIOS_END],
    ["reset vector", layout.RESET_VECTOR_ADDRESS, layout.HIGH_MEMORY_ADDRESS],
    ["kernel", layout.KERNEL_ADDRESS, layout.HOLE_ADDRESS],
    ["windows", layout.MMIO_ADDRESS, layout.MMIO_END],
    ["ecam", layout.ECAM_ADDRESS, layout.ECAM_ADDRESS + layout.ECAM_SIZE],
    ["bars", layout.PCI_MMIO_ADDRESS, layout.PCI_MMIO_END],
    ["ioapic", layout.IOAPIC_ADDRESS, layout.IOAPIC_ADDRESS + 0x1000],
    ["lapic", layout.LAPIC_ADDRESS, layout.LAPIC_ADDRESS + 0x1000],
    ["identity map", layout.IDENTITY_MAP_ADDRESS, layout.IDENTITY_MAP_ADDRESS + 0x1000],
    ["tss", layout.TSS_ADDRESS, layout.TSS_ADDRESS + layout.TSS_SIZE],
    ["high ram", layout.HOLE_END, Infinity],
  ];
  let end = 0;
  for (const [name, start, next] of rows) {
    assert(start >= end, `${name} starts below its predecessor's end`);
    assert(next > start, `${name} is empty`);
    end = next;
  }
});

Deno.test("devices get GSIs that no legacy device has", () => {
  const taken: readonly number[] = [
    layout.PIT_GSI,
    layout.COM1_GSI,
    layout.RTC_GSI,
    layout.ACPI_GED_GSI,
  ];
  assertEquals(layout.DEVICE_GSIS.length, 17);
  assert(layout.DEVICE_GSIS.every((gsi) => gsi < layout.IOAPIC_PINS && !taken.includes(gsi)));
});

Deno.test("README's memory map is the layout's", () => {
  const readme = Deno.readTextFileSync(new URL("../../../README.md", import.meta.url));
  const map = readme.slice(readme.indexOf("## Memory map"), readme.indexOf("## Threat table"));
  const told = [...map.matchAll(/`(0x[0-9a-f]+)`/g)].map(([, address]) => Number(address));
  assertEquals(told, [
    0,
    layout.PVH_START_INFO_ADDRESS,
    layout.ZERO_PAGE_ADDRESS,
    layout.PAGE_TABLES_ADDRESS,
    layout.COMMAND_LINE_ADDRESS,
    layout.EBDA_ADDRESS,
    layout.RSDP_ADDRESS,
    layout.MP_TABLE_ADDRESS,
    layout.SMBIOS_ADDRESS,
    layout.RESET_VECTOR_ADDRESS,
    layout.KERNEL_ADDRESS,
    layout.MMIO_ADDRESS,
    layout.ECAM_ADDRESS,
    layout.PCI_MMIO_ADDRESS,
    layout.IOAPIC_ADDRESS,
    layout.LAPIC_ADDRESS,
    layout.IDENTITY_MAP_ADDRESS,
    layout.HOLE_END,
    layout.I8042_DATA_PORT,
    layout.I8042_COMMAND_PORT,
    layout.RTC_PORT,
    layout.RTC_PORT + 1,
    layout.DEBUG_EXIT_PORT,
    layout.COM1_PORT,
    layout.PVPANIC_PORT,
    layout.ACPI_PORT,
  ]);
  assertEquals(layout.TSS_ADDRESS + layout.TSS_SIZE - layout.IDENTITY_MAP_ADDRESS, 4 * 4096);
});
