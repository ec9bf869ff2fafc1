import { assertEquals } from "@std/assert";
import { concat, viewOf } from "../../src/base/bytes.ts";

Deno.test("concat() puts parts one behind the other, and none where there are none", () => {
  const parts = [Uint8Array.of(1, 2), new Uint8Array(), Uint8Array.of(3)];
  assertEquals(concat(parts), Uint8Array.of(1, 2, 3));
  assertEquals(concat([]), new Uint8Array());
});

Deno.test("viewOf() sees a part's bytes and no more", () => {
  const view = viewOf(Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
  assertEquals([view.byteLength, view.getUint16(0, true)], [2, 0x0302]);
});
