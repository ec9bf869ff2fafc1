import { assertEquals } from "@std/assert";
import { ByteRing } from "../../src/virtio/byte_ring.ts";
import { fuzz } from "../support/random.ts";

Deno.test("ByteRing.push() takes what fits and gives how much that was", () => {
  const ring = new ByteRing(4);
  assertEquals(ring.push(Uint8Array.of(1, 2, 3)), 3);
  assertEquals(ring.push(Uint8Array.of(4, 5)), 1);
  assertEquals([ring.length, ring.free], [4, 0]);
  assertEquals(ring.push(Uint8Array.of(6)), 0);
});

Deno.test("ByteRing.peek() stops at the ring's end and goes on at its start", () => {
  const ring = new ByteRing(4);
  ring.push(Uint8Array.of(1, 2, 3));
  ring.drop(2);
  ring.push(Uint8Array.of(4, 5));
  assertEquals(ring.peek(9), Uint8Array.of(3, 4));
  ring.drop(2);
  assertEquals(ring.peek(9), Uint8Array.of(5));
});

Deno.test("ByteRing.clear() leaves nothing", () => {
  const ring = new ByteRing(4);
  ring.push(Uint8Array.of(1, 2, 3));
  ring.clear();
  assertEquals([ring.length, ring.free, ring.peek(9).length], [0, 4, 0]);
});

Deno.test("ByteRing gives bytes in the order they came, whatever the steps", () => {
  fuzz((random) => {
    const ring = new ByteRing(random.between(1, 40));
    const waiting: number[] = [];
    for (let step = 0; step < 50; step++) {
      const bytes = random.bytes(random.below(20));
      waiting.push(...bytes.subarray(0, ring.push(bytes)));
      const seen = ring.peek(random.below(20));
      assertEquals([...seen], waiting.slice(0, seen.length));
      assertEquals(seen.length > 0 || waiting.length === 0 || ring.length > 0, true);
      ring.drop(seen.length);
      waiting.splice(0, seen.length);
      assertEquals(ring.length, waiting.length);
    }
  }, { rounds: 200 });
});
