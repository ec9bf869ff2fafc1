import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  VIRTIO_MMIO_CONFIG,
  VIRTIO_MMIO_INTERRUPT_ACK,
  VIRTIO_MMIO_INTERRUPT_STATUS,
  VIRTIO_MMIO_QUEUE_NOTIFY,
  VIRTIO_MMIO_QUEUE_NUM,
  VIRTIO_MMIO_QUEUE_READY,
  VIRTIO_MMIO_QUEUE_SEL,
} from "../../src/abi/virtio.ts";
import { DescriptorChain } from "../../src/virtio/descriptor_chain.ts";
import type { VirtioContext, VirtioDevice } from "../../src/virtio/virtio_device.ts";
import type { VirtioSpec } from "../../src/virtio/virtio_spec.ts";
import type { Virtqueue } from "../../src/virtio/virtqueue.ts";
import type { DriverQueue } from "../support/driver.ts";
import { requirement } from "../support/require.ts";
import { type BenchParts, VirtioBench } from "../support/virtio_bench.ts";

const SPEC: VirtioSpec = {
  deviceId: 42,
  features: [],
  queueSizes: [8, 8],
  config: new Uint8Array(8),
  writableConfig: [0, 4],
};

/** Answers queue 0 at once with 1 byte; keeps what comes on queue 1 until the test says so. Records what happens to it. */
class Recorder implements VirtioDevice {
  readonly events: string[] = [];
  readonly held: number[] = [];
  readonly #context: VirtioContext;
  readonly #chain: DescriptorChain;

  constructor(context: VirtioContext) {
    this.#context = context;
    this.#chain = new DescriptorChain(context.memory, 8);
  }

  processQueue(index: number, queue: Virtqueue): void {
    this.events.push(`process${index}`);
    while (queue.pop(this.#chain)) {
      if (index === 1) this.held.push(this.#chain.head);
      else queue.pushUsed(this.#chain.head, this.#chain.write(0, Uint8Array.of(0xab)));
    }
  }

  /** Ends the I/O in flight. */
  finish(): void {
    for (const head of this.held.splice(0)) this.#context.queue(1)?.pushUsed(head, 0);
    this.#context.complete(1);
  }

  activate(): void {
    this.events.push("activate");
  }

  drain(): void {
    this.events.push("drain");
    this.finish();
  }

  resume(): void {
    this.events.push("resume");
  }

  reset(): void {
    this.events.push("reset");
  }

  configWritten(): void {
    this.events.push("configWritten");
  }

  close(): void {
    this.events.push("close");
  }
}

interface Opened {
  readonly bench: VirtioBench;
  readonly device: Recorder;
}

function open(parts: Partial<BenchParts> = {}): Opened {
  let device: Recorder | undefined;
  const factory = (context: VirtioContext) => device = new Recorder(context);
  const bench = VirtioBench.open({ spec: SPEC, device: factory, ...parts });
  assert(device);
  return { bench, device };
}

function queueOf(bench: VirtioBench, index: number): DriverQueue {
  const queue = bench.driver.queues[index];
  assert(queue);
  return queue;
}

Deno.test("VirtioBack answers requests and interrupts once for a batch", requirement("ffi"), () => {
  const { bench } = open();
  using _ = bench;
  bench.initialize({ features: [] });
  const queue = queueOf(bench, 0);
  const heads = [0, 1, 2].map(() => queue.add([{ writable: 1 }]));
  bench.notify(0);
  assertEquals(queue.used(), heads.map((head) => ({ head, length: 1 })));
  assertEquals(queue.written(heads[0] ?? 0), Uint8Array.of(0xab));
  assertEquals([bench.interrupts, bench.driver.read(VIRTIO_MMIO_INTERRUPT_STATUS)], [1, 1]);
  bench.driver.write(VIRTIO_MMIO_INTERRUPT_ACK, 1);
  assertEquals(bench.driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
});

Deno.test("VirtioBack takes up a driver that came before it", requirement("ffi"), () => {
  const { bench, device } = open({ awake: false });
  using _ = bench;
  bench.driver.initialize();
  const head = queueOf(bench, 0).add([{ writable: 4 }]);
  bench.driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
  bench.wake();
  bench.turn();
  assertEquals(queueOf(bench, 0).used(), [{ head, length: 1 }]);
  assertEquals(device.events[0], "activate");
});

Deno.test(
  "VirtioBack never sees a driver that took its DRIVER_OK back before",
  requirement("ffi"),
  () => {
    const { bench, device } = open({ awake: false });
    using _ = bench;
    bench.driver.initialize();
    bench.driver.status = 0;
    bench.wake();
    bench.turn();
    assertEquals(device.events, []);
  },
);

Deno.test(
  "VirtioBack ignores notifications before DRIVER_OK and a million of them after it",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.notify(0);
    bench.driver.negotiate();
    bench.notify(1);
    assertEquals(device.events, []);
    bench.driver.setQueues();
    bench.driver.status = 0xf;
    bench.turn();
    device.events.length = 0;
    for (let i = 0; i < 1_000_000; i++) bench.driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    bench.turn();
    assertEquals(device.events, ["process0"]);
  },
);

Deno.test(
  "VirtioBack leaves a queue alone that the driver did not set up",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.driver.negotiate();
    bench.driver.setQueues();
    bench.driver.write(VIRTIO_MMIO_QUEUE_SEL, 1);
    bench.driver.write(VIRTIO_MMIO_QUEUE_READY, 0);
    bench.driver.status = 0xf;
    bench.turn();
    bench.notify(1);
    assertEquals(device.events, ["activate", "process0"]);
  },
);

Deno.test("VirtioBack interrupts for what ends outside of processQueue", requirement("ffi"), () => {
  const { bench, device } = open();
  using _ = bench;
  bench.initialize({ features: [] });
  const head = queueOf(bench, 1).add([{ readable: 4 }]);
  bench.notify(1);
  assertEquals([queueOf(bench, 1).used(), bench.interrupts], [[], 0]);
  device.finish();
  assertEquals([queueOf(bench, 1).used(), bench.interrupts], [[{ head, length: 0 }], 1]);
});

Deno.test(
  "VirtioBack drains before a reset ends, and later completions touch no memory",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.initialize();
    const queue = queueOf(bench, 1);
    queue.add([{ readable: 4 }]);
    bench.notify(1);
    bench.driver.status = 0;
    assertEquals(device.events.slice(-2), ["drain", "reset"]);
    assertEquals([bench.driver.status, queue.usedIdx], [0, 1]);

    device.held.push(0);
    device.finish();
    assertEquals(queue.usedIdx, 1);
  },
);

Deno.test(
  "VirtioBack takes up a driver again after a reset, with other rings",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.initialize();
    queueOf(bench, 0).add([{ writable: 4 }]);
    bench.notify(0);
    const old = queueOf(bench, 0);
    bench.driver.status = 0;
    assertEquals(bench.block.queues.map(({ nextAvail, nextUsed }) => [nextAvail, nextUsed]), [
      [0, 0],
      [0, 0],
    ]);
    bench.initialize({ features: [] });
    const head = queueOf(bench, 0).add([{ writable: 4 }]);
    bench.notify(0);
    assertEquals(queueOf(bench, 0).used(), [{ head, length: 1 }]);
    assertEquals([old.usedIdx, device.events.filter((event) => event === "activate").length], [
      1,
      2,
    ]);
  },
);

Deno.test(
  "VirtioBack holds still between drain and resume, then does what came meanwhile",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.initialize();
    bench.back.drain();
    const head = queueOf(bench, 0).add([{ writable: 4 }]);
    bench.notify(0);
    assertEquals(queueOf(bench, 0).used(), []);
    bench.back.resume();
    assertEquals(queueOf(bench, 0).used(), [{ head, length: 1 }]);
    assertEquals(device.events.slice(-4), ["drain", "resume", "process0", "process1"]);
  },
);

Deno.test(
  "VirtioBack answers a reset while it is drained, and an activation after that",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.initialize();
    bench.back.drain();
    bench.driver.status = 0;
    assertEquals([bench.driver.status, bench.warnings], [0, []]);
    bench.initialize();
    assertEquals(device.events.filter((event) => event === "activate").length, 1);
    bench.back.resume();
    assertEquals(device.events.filter((event) => event === "activate").length, 2);
  },
);

Deno.test(
  "VirtioBack asks for a reset where a queue can't be used (virtio 1.3 §2.1.2)",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.driver.negotiate();
    bench.driver.setQueues();
    bench.driver.write(VIRTIO_MMIO_QUEUE_READY, 0);
    bench.driver.write(VIRTIO_MMIO_QUEUE_SEL, 0);
    bench.driver.write(VIRTIO_MMIO_QUEUE_READY, 0);
    bench.driver.write(VIRTIO_MMIO_QUEUE_NUM, 7);
    bench.driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
    bench.driver.status = 0xf;
    bench.turn();
    assertEquals([bench.driver.status, bench.driver.read(VIRTIO_MMIO_INTERRUPT_STATUS)], [0x4f, 2]);
    assertEquals([bench.interrupts, bench.warnings.length, bench.block.failures], [1, 1, 1]);
    assertEquals(device.events, ["drain"]);
  },
);

Deno.test(
  "VirtioBack asks for a reset where a ring is broken, stops, and recovers by the reset",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.initialize({ features: [] });
    queueOf(bench, 0).availIdx = 100;
    bench.notify(0);
    assertEquals([bench.driver.status, bench.interrupts], [0x4f, 1]);
    assertMatch(bench.warnings.join(), /index went from 0 to 100 .*waits for a reset/);
    const before = device.events.length;
    bench.notify(0);
    bench.notify(1);
    bench.back.drain();
    bench.back.resume();
    assertEquals(device.events.length, before);

    bench.driver.status = 0;
    assertEquals(bench.driver.status, 0);
    bench.initialize({ features: [] });
    const head = queueOf(bench, 0).add([{ writable: 4 }]);
    bench.notify(0);
    assertEquals(queueOf(bench, 0).used(), [{ head, length: 1 }]);
  },
);

Deno.test("VirtioBack warns of malformed chains and goes on", requirement("ffi"), () => {
  const { bench } = open();
  using _ = bench;
  bench.initialize({ features: [] });
  const queue = queueOf(bench, 0);
  const bad = queue.add([{ writable: 1 }, { readable: 1 }]);
  const good = queue.add([{ writable: 1 }]);
  bench.notify(0);
  assertEquals(queue.used(), [{ head: bad, length: 0 }, { head: good, length: 1 }]);
  assertEquals(bench.warnings, [
    "Queue 0: refused a descriptor chain: readable buffer after a writable one",
  ]);
  assertEquals(bench.driver.status, 0xf);
});

Deno.test(
  "VirtioBack tells the device of configuration writes, and the driver of changes",
  requirement("ffi"),
  () => {
    const { bench, device } = open();
    using _ = bench;
    bench.back.changeConfig(4, Uint8Array.of(7));
    assertEquals(bench.interrupts, 0);
    bench.initialize();
    bench.driver.device.write(VIRTIO_MMIO_CONFIG, 4, 0x1234);
    bench.turn();
    assertEquals(device.events.at(-1), "configWritten");
    bench.back.changeConfig(5, Uint8Array.of(8));
    assertEquals([bench.interrupts, bench.driver.read(VIRTIO_MMIO_INTERRUPT_STATUS)], [1, 2]);
    assertEquals(bench.driver.device.read(VIRTIO_MMIO_CONFIG + 4, 2), 0x0807);
  },
);

Deno.test(
  "VirtioBack lets other devices in between when a guest adds without end",
  requirement("ffi"),
  () => {
    let rounds = 0;
    let served = 0;
    const spec = { deviceId: 1, features: [], queueSizes: [1] };
    const device = (context: VirtioContext): VirtioDevice => {
      const chain = new DescriptorChain(context.memory, 1);
      return {
        processQueue(_index, queue) {
          rounds++;
          while (queue.pop(chain)) {
            queue.pushUsed(chain.head, 0);
            queue.publish();
            // The guest adds as fast as it is served.
            if (++served < 1000) bench.driver.queues[0]?.offer(0);
          }
        },
      };
    };
    using bench = VirtioBench.open({ spec, device });
    bench.initialize();
    queueOf(bench, 0).offer(0);
    const turns: number[] = [];
    bench.signal(bench.descriptor, "notify0");
    while (bench.loop.runOnce(0) > 0) turns.push(served);
    assertEquals(turns, [256, 512, 768, 1000]);
    assertEquals(rounds, 5);
  },
);

Deno.test(
  "VirtioBack sees what comes unnoticed while it finishes, within the same bound",
  requirement("ffi"),
  () => {
    let served = 0;
    const spec = { deviceId: 1, features: [], queueSizes: [1] };
    const device = (context: VirtioContext): VirtioDevice => {
      const chain = new DescriptorChain(context.memory, 1);
      return {
        processQueue(_index, queue) {
          while (queue.pop(chain)) {
            queue.pushUsed(chain.head, 0);
            served++;
          }
          queue.publish();
          // After the last look and before notifications are on again: none is sent for this one.
          if (served > 0 && served < 1000) bench.driver.queues[0]?.offer(0);
        },
      };
    };
    using bench = VirtioBench.open({ spec, device });
    bench.initialize();
    queueOf(bench, 0).offer(0);
    bench.signal(bench.descriptor, "notify0");
    const turns: number[] = [];
    while (bench.loop.runOnce(0) > 0) turns.push(served);
    assertEquals(turns, [256, 512, 768, 1000]);
  },
);

Deno.test("VirtioBack goes on with what it was told before a snapshot", requirement("ffi"), () => {
  const { bench } = open();
  using _ = bench;
  bench.initialize();
  queueOf(bench, 0).add([{ writable: 4 }]);
  bench.notify(0);
  assertEquals(queueOf(bench, 0).used().length, 1);
  bench.back.drain();
  const saved = bench.state.bytes(bench.block.offset, 512).slice();

  const { bench: restored } = open({ awake: false, memory: bench.memory });
  using __ = restored;
  restored.state.bytes(restored.block.offset, 512).set(saved);
  restored.back.restore(1, bench.back.save(1));
  const head = queueOf(bench, 0).add([{ writable: 4 }]);
  restored.wake();
  assertEquals(queueOf(bench, 0).used(), [{ head, length: 1 }]);
});

Deno.test("VirtioBack.reset() makes everything as after power-on", requirement("ffi"), () => {
  const { bench, device } = open();
  using _ = bench;
  bench.initialize();
  bench.back.reset();
  assertEquals([bench.driver.status, bench.block.phase, device.events.slice(-2)], [0, 0, [
    "drain",
    "reset",
  ]]);
  bench.initialize();
  assertEquals(bench.driver.status, 0xf);
});

Deno.test("VirtioBack.reset() leaves a device alone that no driver has", requirement("ffi"), () => {
  const { bench, device } = open();
  using _ = bench;
  bench.back.reset();
  assertEquals([device.events, bench.driver.status], [[], 0]);
});

Deno.test("VirtioBack.close() drains and lets go of its events", requirement("ffi"), () => {
  const { bench, device } = open();
  bench.initialize();
  bench[Symbol.dispose]();
  assertEquals(device.events.slice(-2), ["drain", "close"]);
});

Deno.test("VirtioBack lets our own bugs through to the worker", requirement("ffi"), () => {
  const device = (): VirtioDevice => ({
    processQueue() {
      throw new TypeError("Ours");
    },
  });
  using bench = VirtioBench.open({ spec: SPEC, device });
  assertThrows(() => bench.initialize(), TypeError, "Ours");
});
