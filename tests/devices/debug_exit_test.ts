import { assertEquals } from "@std/assert";
import { DebugExit, debugExit } from "../../src/devices/debug_exit.ts";
import { fuzz } from "../support/random.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

Deno.test("DebugExit ends the machine with what was written, at any width", () => {
  fuzz((random) => {
    const context = new RecordingContext();
    const descriptor = place(debugExit({ id: "debug-exit", port: 0xf4 }), context);
    const chip = new DebugExit(descriptor, context);
    const size = random.pick([1, 2, 4]);
    const value = random.hostile32() % 2 ** (8 * size);
    chip.write(random.below(4), size, value);
    assertEquals(context.ends, [["debug-exit", value]]);
    assertEquals(chip.read(0, size), 0);
  });
});
