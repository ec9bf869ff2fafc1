import { assertEquals } from "@std/assert";
import { Pvpanic, pvpanic } from "../../src/devices/pvpanic.ts";
import { fuzz } from "../support/random.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

function fixture(): { readonly context: RecordingContext; readonly chip: Pvpanic } {
  const context = new RecordingContext();
  const descriptor = place(pvpanic({ id: "pvpanic0", port: 0x505 }), context);
  return { context, chip: new Pvpanic(descriptor, context) };
}

Deno.test("Pvpanic knows both events", () => {
  assertEquals(fixture().chip.read(0, 1), 0x03);
});

Deno.test("Pvpanic ends the machine when the guest has panicked (row 2.37)", () => {
  const { context, chip } = fixture();
  chip.write(0, 1, 0x01);
  assertEquals(context.ends, [["panic", 1]]);
});

Deno.test("Pvpanic lets a guest whose crash kernel takes over go on", () => {
  const { context, chip } = fixture();
  chip.write(0, 1, 0x02);
  assertEquals(context.ends, []);
  assertEquals(context.warnings, ["The guest panicked, and its crash kernel takes over"]);
});

Deno.test("Pvpanic ignores events that it doesn't know", () => {
  const { context, chip } = fixture();
  chip.write(0, 1, 0xfc);
  assertEquals([context.ends, context.warnings], [[], []]);
});

Deno.test("Pvpanic ends the machine for no value without the panic bit", () => {
  fuzz((random) => {
    const { context, chip } = fixture();
    const value = random.u32() % 256;
    chip.write(random.below(4), 1, value);
    assertEquals(context.ends.length, value % 2);
    assertEquals(chip.read(random.below(4), 1), 3);
  });
});
