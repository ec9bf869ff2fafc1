import { assertEquals } from "@std/assert";
import { boot_e820_entry, boot_params, setup_header } from "../../src/abi/boot.ts";
import { compilerOffsets, type LayoutPair, ourOffsets } from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";

const PAIRS: readonly LayoutPair[] = [
  { c: "struct setup_header", layout: setup_header },
  { c: "struct boot_e820_entry", layout: boot_e820_entry },
  { c: "struct boot_params", layout: boot_params },
];

Deno.test("abi/boot agrees with the C compiler", requirement("gcc"), () => {
  assertEquals(PAIRS.map(ourOffsets), compilerOffsets(["asm/bootparam.h"], PAIRS));
});

Deno.test("abi/boot has the offsets that the boot protocol documents", () => {
  assertEquals(boot_params.hdr, 0x1f1);
  assertEquals(boot_params.e820_table, 0x2d0);
  assertEquals(boot_params.acpi_rsdp_addr, 0x70);
  assertEquals(boot_params.hdr + setup_header.header, 0x202);
  assertEquals(boot_params.hdr + setup_header.init_size, 0x260);
});
