import { assert, assertEquals } from "@std/assert";
import { I8042, i8042 } from "../../src/devices/i8042.ts";
import { fuzz } from "../support/random.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

const DATA = 0;
const COMMAND = 4;
const OUTPUT_FULL = 0x01;
const INPUT_FULL = 0x02;

function fixture(): { readonly context: RecordingContext; readonly chip: I8042 } {
  const context = new RecordingContext();
  const descriptor = place(i8042({ id: "i8042", dataPort: 0x60 }), context);
  return { context, chip: new I8042(descriptor, context) };
}

Deno.test("i8042() claims ports 0x60 and 0x64 alone", () => {
  assertEquals(i8042({ id: "i8042", dataPort: 0x60 }).windows, [
    { bus: "port", base: 0x60, size: 1, offset: 0 },
    { bus: "port", base: 0x64, size: 1, offset: 4 },
  ]);
});

Deno.test("I8042 resets the machine at command 0xfe", () => {
  const { context, chip } = fixture();
  chip.write(COMMAND, 1, 0xfe);
  assertEquals(context.ends, [["reset", undefined]]);
});

Deno.test("I8042 ignores other commands, and 0xfe at the data port", () => {
  const { context, chip } = fixture();
  for (const command of [0x20, 0x60, 0xaa, 0xd1, 0xff]) chip.write(COMMAND, 1, command);
  chip.write(DATA, 1, 0xfe);
  assertEquals(context.ends, []);
});

Deno.test("I8042 is always ready for a command", () => {
  const { chip } = fixture();
  assertEquals(chip.read(COMMAND, 1) & INPUT_FULL, 0);
});

Deno.test("I8042 gives more bytes than the 16 after which Linux finds no controller", () => {
  const { chip } = fixture();
  for (let i = 0; i < 16; i++) {
    assertEquals(chip.read(COMMAND, 1) & OUTPUT_FULL, OUTPUT_FULL);
    chip.read(DATA, 1);
  }
  assertEquals(chip.read(COMMAND, 1) & OUTPUT_FULL, OUTPUT_FULL);
});

Deno.test("I8042 falls silent for a guest that empties it without a limit", () => {
  const { chip } = fixture();
  let taken = 0;
  for (; taken < 1000 && (chip.read(COMMAND, 1) & OUTPUT_FULL) !== 0; taken++) chip.read(DATA, 1);
  assertEquals(taken, 255);
});

Deno.test("I8042 survives any access of a hostile guest", () => {
  fuzz((random) => {
    const { chip } = fixture();
    for (let i = 0; i < 20; i++) {
      const size = random.pick([1, 2, 4]);
      chip.write(random.below(8), size, random.hostile32() % 2 ** (8 * size));
      const value = chip.read(random.below(8), size);
      assert(value >= 0 && value < 2 ** (8 * size));
    }
  });
});
