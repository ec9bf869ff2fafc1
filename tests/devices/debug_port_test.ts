import { assertEquals } from "@std/assert";
import { DebugPort } from "../../src/devices/debug_port.ts";
import { fuzz } from "../support/random.ts";
import { RecordingContext } from "./chip_fixture.ts";

for (const request of ["debug-exit", "yield"] as const) {
  Deno.test(`DebugPort asks for the ${request} with what was written, at any width`, () => {
    fuzz((random) => {
      const context = new RecordingContext();
      const chip = new DebugPort(context, request);
      const size = random.pick([1, 2, 4]);
      const value = random.hostile32() % 2 ** (8 * size);
      chip.write(random.below(4), size, value);
      assertEquals(context.ends, [[request, value]]);
      assertEquals(chip.read(0, size), 0);
    });
  });
}
