import { assertEquals } from "@std/assert";
import { compilerOffsets, ourOffsets } from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";
import { FIRMWARE_HEADERS, FIRMWARE_PAIRS } from "./layouts.ts";

Deno.test(
  "abi/mp, abi/pvh and abi/smbios agree with the C compiler on the specifications' structs",
  requirement("gcc"),
  () => {
    assertEquals(FIRMWARE_PAIRS.map(ourOffsets), compilerOffsets(FIRMWARE_HEADERS, FIRMWARE_PAIRS));
  },
);
