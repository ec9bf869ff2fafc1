import { assertEquals, assertThrows } from "@std/assert";
import { sizeof, struct } from "../../src/base/struct.ts";

Deno.test("struct() aligns each field as C does and rounds the size up to the widest", () => {
  const layout = struct({ a: "u8", b: "u32", c: "u16", d: "u64", e: "u8" });
  assertEquals({ ...layout }, { ...layout, a: 0, b: 4, c: 8, d: 16, e: 24 });
  assertEquals(sizeof(layout), 32);
});

Deno.test("struct() lays arrays out by their element", () => {
  const layout = struct({ a: "u8", b: ["u16", 3], c: ["u64", 2], d: ["u8", 5] });
  assertEquals([layout.a, layout.b, layout.c, layout.d, sizeof(layout)], [0, 2, 8, 24, 32]);
});

Deno.test("struct() nests layouts with their own alignment and size", () => {
  const inner = struct({ x: "u32", y: "u8" });
  const layout = struct({ a: "u8", one: inner, many: [inner, 2], b: "u8" });
  assertEquals([layout.a, layout.one, layout.many, layout.b, sizeof(layout)], [0, 4, 12, 28, 32]);
});

Deno.test("struct() packed leaves no padding", () => {
  const layout = struct({ a: "u8", b: "u64", c: "u16" }, { packed: true });
  assertEquals([layout.a, layout.b, layout.c, sizeof(layout)], [0, 1, 9, 11]);
});

Deno.test("struct() takes the size of a struct that ends in what its fields don't show", () => {
  assertEquals(sizeof(struct({ a: "u32" }, { size: 64 })), 64);
});

Deno.test("struct() refuses a size below its fields", () => {
  assertThrows(() => struct({ a: "u64" }, { size: 4 }), RangeError, "8 bytes in 4");
});

Deno.test("struct() gives offsets that nobody can change", () => {
  const layout = struct({ a: "u8", b: "u8" }) as { b: number };
  assertThrows(() => layout.b = 0, TypeError);
});
