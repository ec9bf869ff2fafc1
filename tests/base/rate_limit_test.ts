import { assertEquals } from "@std/assert";
import { RateLimit } from "../../src/base/rate_limit.ts";

Deno.test("RateLimit.allows() lets the burst through and holds back what follows", () => {
  const limit = new RateLimit(3, 1);
  const answers = [0, 0, 0, 0, 0].map((now) => limit.allows(now));
  assertEquals(answers, [true, true, true, false, false]);
  assertEquals(limit.suppressed, 2);
});

Deno.test("RateLimit.allows() goes on at its rate", () => {
  const limit = new RateLimit(1, 2);
  const answers = [0, 400, 500, 900, 1000].map((now) => limit.allows(now));
  assertEquals(answers, [true, false, true, false, true]);
});

Deno.test("RateLimit.allows() saves up no more than the burst in a quiet hour", () => {
  const limit = new RateLimit(2, 10);
  limit.allows(0);
  const answers = [0, 1, 2].map((after) => limit.allows(3_600_000 + after));
  assertEquals(answers, [true, true, false]);
});
