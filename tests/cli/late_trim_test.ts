import { assertEquals } from "@std/assert";
import { LateTrim } from "../../src/cli/late_trim.ts";
import { pause } from "../support/pause.ts";

/** Trims counted while a guest ran for so many ms. */
async function trimsIn(ms: number, delay: number): Promise<number> {
  let count = 0;
  {
    using _trim = new LateTrim({ delay, trim: () => count++ });
    await pause(ms);
  }
  await pause(2 * delay);
  return count;
}

Deno.test("LateTrim gives memory back once, after its delay", async () => {
  assertEquals(await trimsIn(200, 20), 1);
});

Deno.test("LateTrim does nothing for a guest that ends before", async () => {
  assertEquals(await trimsIn(0, 200), 0);
});
