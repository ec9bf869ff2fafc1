import { assertEquals } from "@std/assert";
import { BOOT_MSRS } from "../../../src/arch/x86_64/msrs.ts";

/** SDM vol. 3A §11.11.2.1: MTRRs are in use (bit 11), and memory is write-back (6) where none says otherwise. */
const MTRR_DEF_TYPE = 0x2ff;

Deno.test("BOOT_MSRS make memory cacheable", () => {
  const msr = BOOT_MSRS.find(({ index }) => index === MTRR_DEF_TYPE);
  assertEquals(msr?.data, 0x806n);
});

Deno.test("BOOT_MSRS start the time stamp counter with the others, and strings fast", () => {
  const valueOf = (wanted: number) => BOOT_MSRS.find(({ index }) => index === wanted)?.data;
  assertEquals([valueOf(0x10), valueOf(0x1a0)], [0n, 1n]);
});
