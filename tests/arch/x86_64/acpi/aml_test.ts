import { assertEquals } from "@std/assert";
import * as aml from "../../../../src/arch/x86_64/acpi/aml.ts";

function hex(term: aml.Aml): string {
  return Uint8Array.from(term).toHex();
}

/** A scope with `size` bytes in all behind its opcode, name included. */
function scopeHead(size: number): string {
  const content = new Array<number>(size - 4).fill(0);
  return hex(aml.scope("ABCD", content).slice(0, 5));
}

for (
  const [size, head] of [
    // PkgLength counts itself: 62 + 1 still fits one byte, 63 + 1 does not.
    [62, "103f414243"],
    [63, "1041044142"],
    [4093, "104fff4142"],
    [4094, "1081000141"],
    [0x10000, "1083001041"],
  ] as const
) {
  Deno.test(`aml.scope() of ${size} bytes has the package length of ACPI 6.5 §20.2.4`, () => {
    assertEquals(scopeHead(size), head);
  });
}

for (
  const [value, bytes] of [
    [0, "00"],
    [1, "01"],
    [2, "0a02"],
    [255, "0aff"],
    [256, "0b0001"],
    [0xffff, "0bffff"],
    [0x10000, "0c00000100"],
    [0xffffffff, "0cffffffff"],
  ] as const
) {
  Deno.test(`aml.integer(${value}) takes its shortest form`, () => {
    assertEquals(hex(aml.integer(value)), bytes);
  });
}

Deno.test("aml.eisaId() packs letters and digits", () => {
  assertEquals(hex(aml.eisaId("PNP0501")), "0c41d00501");
  assertEquals(hex(aml.eisaId("PNP0C0C")), "0c41d00c0c");
});

Deno.test("aml.nameSegment() fills short names up", () => {
  assertEquals(String.fromCharCode(...aml.nameSegment("GED")), "GED_");
});
