import { assertEquals } from "@std/assert";
import { ByteBudget } from "../../src/base/byte_budget.ts";

Deno.test("ByteBudget gives each period its bytes and carries none over", () => {
  const budget = new ByteBudget(10, 1000);
  assertEquals(budget.left(500), 10);
  budget.take(7);
  assertEquals([budget.left(1499), budget.wait(1400)], [3, 100]);
  assertEquals(budget.left(1500), 10);
  budget.take(10);
  assertEquals([budget.left(2499.5), budget.wait(2499.5)], [0, 0.5]);
  assertEquals([budget.left(9000), budget.left(9999)], [10, 10]);
});

Deno.test("ByteBudget without a limit never ends", () => {
  const budget = new ByteBudget(Infinity, 0);
  budget.take(budget.left(0));
  assertEquals([budget.left(0) > 2 ** 53, budget.wait(0)], [true, 0]);
});
