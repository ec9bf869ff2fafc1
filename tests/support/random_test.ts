import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fuzz, Random } from "./random.ts";

Deno.test("Random gives the same numbers for the same seed", () => {
  const first = new Random(42);
  const second = new Random(42);
  assertEquals([first.u32(), first.u32()], [second.u32(), second.u32()]);
  assert(new Random(1).u32() !== new Random(2).u32());
});

Deno.test("Random.below() covers its range and stays inside it", () => {
  const random = new Random(7);
  const seen = new Set(Array.from({ length: 200 }, () => random.below(5)));
  assertEquals([...seen].sort(), [0, 1, 2, 3, 4]);
  const wide = Array.from({ length: 200 }, () => random.below(2 ** 40));
  assert(wide.every((value) => value < 2 ** 40) && wide.some((value) => value >= 2 ** 32));
});

Deno.test("fuzz() names the seed of the round that failed", () => {
  let failing = -1;
  const error = assertThrows(() =>
    fuzz((random, index) => {
      failing = random.seed;
      if (index === 0) throw new Error("broken");
    })
  );
  assertStringIncludes(String(error), `FUZZ_SEED=${failing}`);
  assertStringIncludes(String(error), "broken");
});
