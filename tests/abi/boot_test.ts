import { assertEquals } from "@std/assert";
import * as elf from "../../src/abi/elf.ts";
import { boot_params, setup_header } from "../../src/abi/boot.ts";
import { compilerOffsets, compilerValues, ourOffsets } from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";
import { BOOT_HEADERS, BOOT_PAIRS } from "./layouts.ts";

Deno.test("abi/boot and abi/elf agree with the C compiler", requirement("gcc"), () => {
  assertEquals(BOOT_PAIRS.map(ourOffsets), compilerOffsets(BOOT_HEADERS, BOOT_PAIRS));
});

Deno.test("abi/boot has the offsets that the boot protocol documents", () => {
  assertEquals(boot_params.hdr, 0x1f1);
  assertEquals(boot_params.e820_table, 0x2d0);
  assertEquals(boot_params.acpi_rsdp_addr, 0x70);
  assertEquals(boot_params.hdr + setup_header.header, 0x202);
  assertEquals(boot_params.hdr + setup_header.init_size, 0x260);
});

Deno.test("abi/elf constants have the values of elf.h", requirement("gcc"), () => {
  const numbers = Object.entries<unknown>({ ...elf })
    .filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const ours = Object.fromEntries(numbers);
  // A note of Xen's, which elf.h does not know.
  const { XEN_ELFNOTE_PHYS32_ENTRY: _xen, ...known } = ours;
  assertEquals(known, compilerValues(["elf.h"], Object.keys(known)));
});
