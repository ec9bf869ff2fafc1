import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { VIRTIO_MMIO_DEVICE_ID } from "../../src/abi/virtio.ts";
import { Rng, RNG_MAX_BYTES, RNG_SPEC } from "../../src/virtio/rng.ts";
import { requirement } from "../support/require.ts";
import { VirtioBench } from "../support/virtio_bench.ts";

function open(): VirtioBench {
  return VirtioBench.open({ spec: RNG_SPEC, device: (context) => new Rng(context) });
}

Deno.test(
  "Rng fills the driver's buffers with random bytes (virtio 1.3 §5.4.6)",
  requirement("ffi"),
  () => {
    using bench = open();
    bench.initialize();
    const [queue] = bench.driver.queues;
    assert(queue);
    assertEquals(bench.driver.read(VIRTIO_MMIO_DEVICE_ID), 4);
    const first = queue.add([{ writable: 32 }]);
    const second = queue.add([{ writable: 16 }, { writable: 16 }], { indirect: true });
    bench.notify(0);
    assertEquals(queue.used(), [{ head: first, length: 32 }, { head: second, length: 32 }]);
    assertNotEquals(queue.written(first), new Uint8Array(32));
    assertNotEquals(queue.written(second).slice(0, 16), new Uint8Array(16));
    assertNotEquals(queue.written(second).slice(16), new Uint8Array(16));
    assertNotEquals(queue.written(first), queue.written(second));
    assertEquals(bench.interrupts, 1);
  },
);

Deno.test(
  "Rng gives at most 64 KiB a request, and the rest of the buffer is left alone",
  requirement("ffi"),
  () => {
    using bench = open();
    bench.initialize();
    const [queue] = bench.driver.queues;
    assert(queue);
    const head = queue.add([{ writable: 60000 }, { writable: 60000 }]);
    bench.notify(0);
    assertEquals(queue.used(), [{ head, length: RNG_MAX_BYTES }]);
    assert(queue.written(head).subarray(RNG_MAX_BYTES).every((byte) => byte === 0));
  },
);

Deno.test("Rng completes a request without room with length 0", requirement("ffi"), () => {
  using bench = open();
  bench.initialize();
  const [queue] = bench.driver.queues;
  assert(queue);
  const readable = queue.add([{ readable: 64 }]);
  const empty = queue.add([{ writable: 0, at: 0x1000 }]);
  bench.notify(0);
  assertEquals(queue.used(), [{ head: readable, length: 0 }, { head: empty, length: 0 }]);
});

Deno.test("Rng survives 32 requests for the same 4 KiB", requirement("ffi"), () => {
  using bench = open();
  bench.initialize();
  const [queue] = bench.driver.queues;
  assert(queue);
  for (let i = 0; i < 32; i++) queue.add([{ writable: 4096, at: 0xc000_1000 }]);
  bench.notify(0);
  const used = queue.used();
  assertEquals(used.length, 32);
  assert(used.every(({ length }) => length === 4096));
});
