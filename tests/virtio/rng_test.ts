import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { VIRTIO_MMIO_DEVICE_ID } from "../../src/abi/virtio.ts";
import { O_RDONLY } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Rng, RNG_MAX_BYTES, RNG_SPEC } from "../../src/virtio/rng.ts";
import { requirement } from "../support/require.ts";
import { testMemory, type Used } from "../support/driver.ts";
import { Fifo } from "../support/fifo.ts";
import { type BenchParts, VirtioBench } from "../support/virtio_bench.ts";

if (!requirement("ffi").ignore) openAllGroups();

function open(parts: Pick<BenchParts, "fds" | "options" | "memory"> = {}): VirtioBench {
  return VirtioBench.open({ spec: RNG_SPEC, device: (context) => new Rng(context), ...parts });
}

/** Waits until `count` requests have come back. */
function finish(bench: VirtioBench, count: number): Used[] {
  const used: Used[] = [];
  for (const start = Date.now(); used.length < count && Date.now() < start + 5000;) {
    bench.loop.runOnce(50);
    bench.turn();
    used.push(...bench.driver.queues[0]?.used() ?? []);
  }
  return used;
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

Deno.test("Rng gives 64 KiB of a request for a gigabyte", requirement("ffi"), () => {
  // 64 times the same 16 MiB: what is not written costs nothing.
  using bench = open({ memory: testMemory(2 ** 24) });
  bench.initialize();
  const [queue] = bench.driver.queues;
  assert(queue);
  const head = queue.add(
    Array.from({ length: 64 }, () => ({ writable: 2 ** 24, at: 0xc000_0000 })),
  );
  bench.notify(0);
  assertEquals(queue.used(), [{ head, length: RNG_MAX_BYTES }]);
});

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

Deno.test(
  "Rng gives a file out once, in order, and then lets the guest wait (row 2.31)",
  requirement("ffi"),
  () => {
    const path = Deno.makeTempFileSync({ prefix: "vireo-rng-" });
    Deno.writeFileSync(path, Uint8Array.from({ length: 48 }, (_, i) => i));
    using file = Fd.open(path, O_RDONLY);
    Deno.removeSync(path);
    using bench = open({ fds: { source: file.number } });
    bench.initialize();
    const [queue] = bench.driver.queues;
    assert(queue);
    const [first, second] = [queue.add([{ writable: 32 }]), queue.add([{ writable: 32 }])];
    queue.add([{ writable: 32 }]);
    bench.notify(0);
    assertEquals(queue.used(), [{ head: first, length: 32 }, { head: second, length: 16 }]);
    assertEquals([...queue.written(first)], Array.from({ length: 32 }, (_, i) => i));
    assertEquals(queue.written(second)[15], 47);
    bench.notify(0);
    assertEquals(queue.used(), []);
    assertEquals(bench.warnings, ["No more entropy from its file: it has come to its end"]);
  },
);

Deno.test(
  "Rng waits for a source that has nothing yet, and not while drained (row 2.31)",
  requirement("ffi"),
  () => {
    using source = new Fifo();
    using bench = open({ fds: { source: source.reader.number } });
    bench.initialize();
    const [queue] = bench.driver.queues;
    assert(queue);
    const head = queue.add([{ writable: 32 }]);
    bench.notify(0);
    assertEquals(queue.used(), []);
    bench.back.drain();
    source.put("abc");
    bench.turn();
    assertEquals(queue.used(), []);
    bench.back.resume();
    assertEquals(finish(bench, 1), [{ head, length: 3 }]);
    assertEquals(new TextDecoder().decode(queue.written(head).subarray(0, 3)), "abc");
  },
);

Deno.test("Rng gives no more than its bytes in each period (row 2.31)", requirement("ffi"), () => {
  const [maxBytes, period, wanted] = [100, 50, 1000];
  using bench = open({ options: { maxBytes, period } });
  bench.initialize();
  const [queue] = bench.driver.queues;
  assert(queue);
  const start = performance.now();
  for (let i = 0; i < wanted / maxBytes; i++) queue.add([{ writable: 4096 }]);
  bench.notify(0);
  assertEquals(queue.used().map(({ length }) => length), [maxBytes]);
  const used = finish(bench, wanted / maxBytes - 1);
  assertEquals(used.map(({ length }) => length), new Array(wanted / maxBytes - 1).fill(maxBytes));
  assert(performance.now() - start >= (wanted / maxBytes - 1) * period);
});
