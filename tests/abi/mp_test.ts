import { assertEquals } from "@std/assert";
import * as mp from "../../src/abi/mp.ts";
import { sizeof } from "../../src/base/struct.ts";

Deno.test("abi/mp has the sizes of Intel MP 1.4 chapter 4", () => {
  const sizes = [mp.mpf_intel, mp.mpc_table, mp.mpc_cpu, mp.mpc_bus, mp.mpc_ioapic, mp.mpc_intsrc]
    .map(sizeof);
  assertEquals(sizes, [16, 44, 20, 8, 8, 8]);
});
