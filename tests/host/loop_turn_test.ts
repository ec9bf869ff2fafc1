import { assertEquals } from "@std/assert";
import { isSettled } from "../../src/host/loop_turn.ts";
import { libcRequirement } from "../support/libc.ts";

Deno.test(
  "isSettled() tells promises that are settled from those that wait",
  libcRequirement(),
  async () => {
    const waiting = Promise.withResolvers<void>();
    assertEquals(await isSettled(Promise.resolve()), true);
    assertEquals(await isSettled(Promise.reject(new Error("on purpose"))), true);
    assertEquals(await isSettled(waiting.promise), false);
    waiting.resolve();
    assertEquals(await isSettled(waiting.promise), true);
  },
);
