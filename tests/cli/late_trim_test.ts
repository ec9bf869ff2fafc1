import { assertEquals } from "@std/assert";
import { LateTrim } from "../../src/cli/late_trim.ts";
import { pause } from "../support/pause.ts";

/** Trims counted while a guest ran for so many ms. */
async function trimsIn(ms: number, delays: readonly number[]): Promise<number> {
  let count = 0;
  {
    using _trim = new LateTrim({ delays, trim: () => count++ });
    await pause(ms);
  }
  await pause(2 * Math.max(...delays));
  return count;
}

Deno.test("LateTrim gives memory back after each of its delays", async () => {
  assertEquals(await trimsIn(200, [20, 60]), 2);
});

Deno.test("LateTrim does nothing for a guest that ends before", async () => {
  assertEquals(await trimsIn(0, [100, 200]), 0);
});
