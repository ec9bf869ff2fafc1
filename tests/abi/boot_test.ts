import { assertEquals } from "@std/assert";
import { boot_params, setup_header } from "../../src/abi/boot.ts";
import { compilerOffsets, ourOffsets } from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";
import { BOOT_HEADERS, BOOT_PAIRS } from "./layouts.ts";

Deno.test("abi/boot agrees with the C compiler", requirement("gcc"), () => {
  assertEquals(BOOT_PAIRS.map(ourOffsets), compilerOffsets(BOOT_HEADERS, BOOT_PAIRS));
});

Deno.test("abi/boot has the offsets that the boot protocol documents", () => {
  assertEquals(boot_params.hdr, 0x1f1);
  assertEquals(boot_params.e820_table, 0x2d0);
  assertEquals(boot_params.acpi_rsdp_addr, 0x70);
  assertEquals(boot_params.hdr + setup_header.header, 0x202);
  assertEquals(boot_params.hdr + setup_header.init_size, 0x260);
});
