import { assertEquals } from "@std/assert";
import { openAllGroups } from "../../src/host/libc.ts";
import { DiskRequest, DiskRequestPool, MAX_SEGMENTS } from "../../src/storage/disk.ts";
import { fuzz } from "../support/random.ts";
import { requirement } from "../support/require.ts";

if (!requirement().ignore) openAllGroups();

function request(...segments: readonly (readonly [address: number, length: number])[]) {
  const made = new DiskRequest(0, new Uint32Array(MAX_SEGMENTS * 4), 0);
  made.begin("read", 0);
  for (const [address, length] of segments) made.append(address, length);
  return made;
}

function segmentsOf(request: DiskRequest): [address: number, length: number][] {
  return Array.from({ length: request.count }, (_, i) => {
    const [low = 0, high = 0, length = 0] = request.iovecs.subarray(i * 4, i * 4 + 4);
    return [low + high * 2 ** 32, length];
  });
}

Deno.test("DiskRequest.append() keeps 47-bit addresses and sums up lengths", () => {
  const segments: [number, number][] = [[0x7fff_ffff_f000, 4096], [0x1_0000_0000, 0xffff_ffff]];
  const made = request(...segments);
  assertEquals(segmentsOf(made), segments);
  assertEquals(made.length, 0x1_0000_0fff);
});

Deno.test("DiskRequest.append() refuses a segment too many", () => {
  const made = request();
  for (let i = 0; i < MAX_SEGMENTS; i++) assertEquals(made.append(4096, 512), true);
  assertEquals(made.append(4096, 512), false);
  assertEquals(made.length, MAX_SEGMENTS * 512);
});

Deno.test("DiskRequest.advance() drops what is done and cuts the segment it ended in", () => {
  const made = request([0x1000, 512], [0xffff_ff00, 512], [0x3000, 512]);
  made.advance(512 + 256);
  assertEquals(segmentsOf(made), [[0x1_0000_0000, 256], [0x3000, 512]]);
  assertEquals([made.done, made.length], [768, 1536]);
});

Deno.test("DiskRequest.begin() forgets the request before", () => {
  const made = request([0x1000, 512]);
  made.advance(512);
  made.begin("write", 4096);
  assertEquals([made.operation, made.offset, made.length, made.count, made.done], [
    "write",
    4096,
    0,
    0,
    0,
  ]);
});

Deno.test("DiskRequestPool gives requests that share no iovec", requirement(), () => {
  using pool = new DiskRequestPool(3);
  for (const each of pool.requests) while (each.append(each.index * 2 ** 40, each.index + 1));
  for (const each of pool.requests) {
    assertEquals(segmentsOf(each)[MAX_SEGMENTS - 1], [each.index * 2 ** 40, each.index + 1]);
  }
});

Deno.test("DiskRequest.advance() leaves the bytes that are not done, whatever the steps", () => {
  fuzz((random) => {
    const lengths = Array.from({ length: random.between(1, 8) }, () => random.below(2000));
    const made = request(...lengths.map((n, i): [number, number] => [(i + 1) * 0x1_0000, n]));
    const bytes = (list: readonly [number, number][]) =>
      list.flatMap(([at, n]) => Array.from({ length: n }, (_, i) => at + i));
    const all = bytes(segmentsOf(made));
    for (let done = 0; done < all.length;) {
      const step = random.between(1, all.length - done);
      made.advance(step);
      done += step;
      assertEquals(bytes(segmentsOf(made)), all.slice(done));
    }
  }, { rounds: 100 });
});
