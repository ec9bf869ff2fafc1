import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from "../../src/abi/virtio.ts";
import { DescriptorChain } from "../../src/virtio/descriptor_chain.ts";
import { BrokenRing } from "../../src/virtio/split_ring.ts";
import { Virtqueue } from "../../src/virtio/virtqueue.ts";
import { DriverQueue, GuestArena, testMemory } from "../support/driver.ts";
import { openRing, queueState, type Ring, setRegisters } from "../support/ring.ts";

const PLAIN = { indirect: false, eventIdx: false };

/** The buffers of a chain as plain values. */
function buffersOf(chain: DescriptorChain): unknown[] {
  return Array.from({ length: chain.count }, (_, i) => [
    chain.address(i),
    chain.length(i),
    i < chain.readableCount ? "readable" : "writable",
  ]);
}

/** Offers one descriptor with these flags, which refers to `next`, and says what the device makes of it. */
function offerOne(
  ring: Ring,
  descriptor: { address?: number; length?: number; flags?: number; next?: number },
): { readonly taken: boolean; readonly fault: string } {
  ring.driver.setDescriptor(0, { address: 0x1000, length: 16, ...descriptor });
  ring.driver.offer(0);
  return { taken: ring.queue.pop(ring.chain), fault: ring.queue.fault };
}

Deno.test("Virtqueue.pop() gives the buffers of a chain in order (virtio 1.3 §2.7.5)", () => {
  const { driver, queue, chain } = openRing();
  const head = driver.add([
    { readable: 16, at: 0x2000 },
    { readable: 4, at: 0xc000_0000 },
    { writable: 512, at: 0x1_000f_0000 },
    { writable: 1, at: 0x3001 },
  ]);
  assert(queue.pop(chain));
  assertEquals(chain.head, head);
  assertEquals(buffersOf(chain), [
    [0x2000, 16, "readable"],
    [0xc000_0000, 4, "readable"],
    [0x1_000f_0000, 512, "writable"],
    [0x3001, 1, "writable"],
  ]);
  assertEquals([chain.readableLength, chain.writableLength], [20, 513]);
  assertFalse(queue.pop(chain));
});

Deno.test("Virtqueue.pop() takes requests in the order of the available ring", () => {
  const { driver, queue, chain } = openRing();
  const heads = [1, 2, 3].map((readable) => driver.add([{ readable }]));
  const seen: number[] = [];
  while (queue.pop(chain)) seen.push(chain.head);
  assertEquals(seen, heads);
});

Deno.test("Virtqueue.pushUsed() shows nothing before publish() (virtio 1.3 §2.7.14)", () => {
  const { driver, queue, chain } = openRing();
  const head = driver.add([{ writable: 8 }]);
  queue.pop(chain);
  queue.pushUsed(head, 8);
  assertEquals(driver.used(), []);
  assert(queue.publish());
  assertEquals(driver.used(), [{ head, length: 8 }]);
  assertFalse(queue.publish());
});

Deno.test("Virtqueue wraps its indices from 65535 to 0", () => {
  const { driver, queue, chain, state } = openRing({ startAt: 65534 });
  const heads = [0, 1, 2, 3].map(() => driver.add([{ writable: 4 }]));
  while (queue.pop(chain)) queue.pushUsed(chain.head, 4);
  queue.publish();
  assertEquals(driver.used().map(({ head }) => head), heads);
  assertEquals([driver.availIdx, driver.usedIdx], [2, 2]);
  assertEquals([state.nextAvail, state.nextUsed], [2, 2]);
});

Deno.test("Virtqueue goes around its ring many times", () => {
  const { driver, queue, chain } = openRing({ size: 4 });
  for (let i = 0; i < 70_000; i++) {
    queue.beginRound();
    driver.add([{ writable: 4, at: 0x1000 }]);
    assert(queue.pop(chain));
    queue.pushUsed(chain.head, i % 5);
    queue.publish();
    assertEquals(driver.used().map(({ length }) => length), [i % 5]);
  }
});

Deno.test("Virtqueue of one entry and of 32768 entries work", () => {
  for (const size of [1, 32768]) {
    const memory = testMemory(0x20_0000);
    const driver = new DriverQueue(memory, new GuestArena(0xc000_0000, 0x20_0000), size);
    const state = queueState(32768);
    setRegisters(state, driver);
    const queue = new Virtqueue(memory, state, PLAIN);
    queue.beginRound();
    const head = driver.add([{ writable: 4 }]);
    const chain = new DescriptorChain(memory, size);
    assert(queue.pop(chain));
    assertEquals(chain.head, head);
  }
});

for (const size of [0, 3, 11, 512, 65536, 0xffff_ffff]) {
  Deno.test(`Virtqueue refuses a size of ${size} where 256 is the most (virtio 1.3 §2.7)`, () => {
    const memory = testMemory();
    const state = queueState(256);
    setRegisters(state, new DriverQueue(memory, new GuestArena(0, 0x10000), 8), size);
    assertThrows(() => new Virtqueue(memory, state, PLAIN), BrokenRing, "not a power of two");
  });
}

const BAD_AREAS = {
  "address 0": [0, 0],
  "an odd address": [0x1001, 0],
  "the end of RAM": [0xffff0, 0],
  "an address behind RAM": [0xffff_ff00, 0],
  "the gap below 4 GiB": [0xd000_0000, 0],
  "the top of the address space": [0xffff_f000, 0xffff_ffff],
} as const;

for (const [name, [low, high]] of Object.entries(BAD_AREAS)) {
  for (const area of ["desc", "driver", "device"] as const) {
    Deno.test(`Virtqueue refuses a ${area} area at ${name} (virtio 1.3 §2.7)`, () => {
      const memory = testMemory();
      const state = queueState();
      const size = name === "the end of RAM" ? 256 : 8;
      setRegisters(state, new DriverQueue(memory, new GuestArena(0x1000, 0x10000), size));
      state.set(`${area}Low`, low);
      state.set(`${area}High`, high);
      assertThrows(() => new Virtqueue(memory, state, PLAIN), BrokenRing, "is not");
    });
  }
}

for (const [area, alignment] of [["desc", 16], ["driver", 2], ["device", 4]] as const) {
  Deno.test(`Virtqueue wants its ${area} area aligned to ${alignment} (virtio 1.3 §2.7)`, () => {
    const memory = testMemory();
    const state = queueState();
    setRegisters(state, new DriverQueue(memory, new GuestArena(0x1000, 0x10000), 8));
    state.set(`${area}Low`, 0x8000 + alignment / 2);
    assertThrows(() => new Virtqueue(memory, state, PLAIN), BrokenRing, `aligned to ${alignment}`);
    state.set(`${area}Low`, 0x8000 + alignment);
    new Virtqueue(memory, state, PLAIN);
  });
}

Deno.test("Virtqueue.pop() finds the ring broken where a head lies outside the table", () => {
  for (const head of [8, 9, 65535]) {
    const { driver, queue, chain } = openRing({ size: 8 });
    driver.offer(head);
    assertThrows(() => queue.pop(chain), BrokenRing, `descriptor ${head} of 8`);
  }
});

Deno.test("Virtqueue.pop() finds the ring broken where the available index jumps by more than the size", () => {
  for (const index of [9, 1000, 32768, 65535]) {
    const { driver, queue, chain } = openRing({ size: 8 });
    driver.availIdx = index;
    assertThrows(() => queue.pop(chain), BrokenRing, `from 0 to ${index}`);
  }
});

Deno.test("Virtqueue.pop() finds the ring broken where the available index goes backwards", () => {
  const { driver, queue, chain } = openRing({ size: 8 });
  driver.add([{ readable: 1 }]);
  assert(queue.pop(chain));
  driver.availIdx = 0;
  assertThrows(() => queue.pop(chain), BrokenRing, "from 1 to 0");
});

Deno.test("Virtqueue.pop() finds the ring broken where more requests are out than it has entries", () => {
  const { driver, queue, chain } = openRing({ size: 4 });
  for (let i = 0; i < 4; i++) driver.offer(0);
  for (let i = 0; i < 4; i++) assert(queue.pop(chain));
  assertFalse(queue.pop(chain));
  driver.offer(0);
  assertThrows(() => queue.pop(chain), BrokenRing, "4 in flight");
});

Deno.test("Virtqueue.pop() gives nothing while the available index stays", () => {
  const { driver, queue, chain } = openRing({ size: 8, startAt: 65535 });
  assertFalse(queue.pop(chain));
  driver.availIdx = 65535;
  assertFalse(queue.pop(chain));
});

Deno.test("Virtqueue.pop() takes a full ring at once", () => {
  const { driver, queue, chain } = openRing({ size: 8, startAt: 65530 });
  for (let i = 0; i < 8; i++) driver.add([{ readable: 1 }]);
  let count = 0;
  while (queue.pop(chain)) count++;
  assertEquals(count, 8);
});

Deno.test("Virtqueue.pop() refuses a next descriptor outside its table", () => {
  for (const next of [8, 65535]) {
    const { taken, fault } = offerOne(openRing({ size: 8 }), { flags: VRING_DESC_F_NEXT, next });
    assertEquals([taken, fault], [false, "next descriptor outside its table"]);
  }
});

Deno.test("Virtqueue.pop() refuses loops of one, two and three descriptors", () => {
  for (const length of [1, 2, 3]) {
    const ring = openRing({ size: 8 });
    for (let i = 0; i < length; i++) {
      const next = (i + 1) % length;
      ring.driver.setDescriptor(i, { address: 0, length: 1, flags: VRING_DESC_F_NEXT, next });
    }
    ring.driver.offer(0);
    assertFalse(ring.queue.pop(ring.chain));
    assertEquals(ring.queue.fault, "longer than the queue, or a loop");
  }
});

Deno.test("Virtqueue.pop() takes a chain as long as the queue", () => {
  const { driver, queue, chain } = openRing({ size: 8 });
  driver.add(Array.from({ length: 8 }, () => ({ writable: 4 })));
  assert(queue.pop(chain));
  assertEquals(chain.count, 8);
});

Deno.test("Virtqueue.pop() gives a malformed chain back with length 0, counts it, and takes the next", () => {
  const ring = openRing();
  ring.driver.setDescriptor(5, { address: 0x8000_0000, length: 1 });
  ring.driver.offer(5);
  const good = ring.driver.add([{ readable: 4 }]);
  assert(ring.queue.pop(ring.chain));
  assertEquals(ring.chain.head, good);
  ring.queue.pushUsed(good, 0);
  ring.queue.publish();
  assertEquals(ring.driver.used(), [{ head: 5, length: 0 }, { head: good, length: 0 }]);
  assertEquals([ring.queue.malformed, ring.state.malformed], [1, 1]);
});

const OUTSIDE = {
  "an address that is no RAM": { address: 0x8000_0000, length: 1 },
  "a buffer across the end of a region": { address: 0xf_ffff, length: 2 },
  "a buffer across the gap below 4 GiB": { address: 0xc000_0000, length: 0x4000_0001 },
  "an address that wraps at 2^64": { address: 2 ** 64 - 4096, length: 8192 },
  "a length of 0xffffffff": { address: 0x1000, length: 0xffff_ffff },
};

for (const [name, descriptor] of Object.entries(OUTSIDE)) {
  Deno.test(`Virtqueue.pop() refuses ${name}`, () => {
    assertEquals(offerOne(openRing(), descriptor), { taken: false, fault: "buffer outside RAM" });
  });
}

Deno.test("Virtqueue.pop() takes buffers up to the last byte of a region", () => {
  const ring = openRing();
  assert(offerOne(ring, { address: 0xf_fff0, length: 16 }).taken);
  assertEquals(buffersOf(ring.chain), [[0xf_fff0, 16, "readable"]]);
});

Deno.test("Virtqueue.pop() leaves empty buffers out (virtio 1.3 §2.7.4)", () => {
  const { driver, queue, chain } = openRing();
  driver.add([{ readable: 0, at: 0 }, { readable: 2, at: 0x1000 }, { writable: 0, at: 0 }]);
  assert(queue.pop(chain));
  assertEquals(buffersOf(chain), [[0x1000, 2, "readable"]]);
});

Deno.test("Virtqueue.pop() refuses a chain of 4 GiB or more in all", () => {
  // Eight times the same GiB: a plain buffer of that size is never touched, so it costs nothing.
  const ring = openRing({ memory: testMemory(0x2000_0000) });
  const half = Array.from({ length: 7 }, () => ({ writable: 0x2000_0000, at: 0xc000_0000 }));
  ring.driver.add(half);
  assert(ring.queue.pop(ring.chain));
  assertEquals(ring.chain.writableLength, 7 * 0x2000_0000);
  const other = openRing({ memory: ring.memory });
  other.driver.add([...half, { writable: 0x2000_0000, at: 0xc000_0000 }]);
  assertFalse(other.queue.pop(other.chain));
  assertEquals(other.queue.fault, "4 GiB or more in all");
});

Deno.test("Virtqueue.pop() refuses a readable buffer after a writable one (virtio 1.3 §2.7.4.2)", () => {
  const { driver, queue, chain } = openRing();
  driver.add([{ writable: 1 }, { readable: 1 }]);
  assertFalse(queue.pop(chain));
  assertEquals(queue.fault, "readable buffer after a writable one");
});

Deno.test("Virtqueue.pop() ignores unknown flags of a descriptor (virtio 1.3 §2.7.5)", () => {
  const ring = openRing();
  assert(offerOne(ring, { flags: 0xfff8 | VRING_DESC_F_WRITE }).taken);
  assertEquals(buffersOf(ring.chain), [[0x1000, 16, "writable"]]);
});

Deno.test("Virtqueue.pop() gives a copy that later changes of the descriptors don't reach", () => {
  const { driver, queue, chain } = openRing();
  const head = driver.add([{ readable: 4, at: 0x1000 }]);
  assert(queue.pop(chain));
  driver.setDescriptor(head, { address: 0xdead_0000, length: 99, flags: VRING_DESC_F_WRITE });
  assertEquals(buffersOf(chain), [[0x1000, 4, "readable"]]);
});

Deno.test("Virtqueue survives buffers that lie over its rings", () => {
  const { driver, queue, chain, memory } = openRing();
  driver.add([{ writable: 8 * 16, at: driver.descAddress }]);
  driver.add([{ writable: 6 + 64, at: driver.usedAddress }]);
  // The first answer makes the second request's descriptor garbage, which is refused like any other.
  assert(queue.pop(chain));
  memory.bytes(chain.address(0), chain.length(0)).fill(0xff);
  queue.pushUsed(chain.head, chain.writableLength);
  assertFalse(queue.pop(chain));
  queue.publish();
  assertEquals([driver.usedIdx, queue.malformed], [2, 1]);
});

Deno.test("Virtqueue survives two queues with the same rings", () => {
  const first = openRing();
  const second = openRing({ memory: first.memory });
  first.driver.add([{ readable: 1, at: 0x1000 }]);
  for (const { queue, chain } of [first, second]) {
    assert(queue.pop(chain));
    queue.pushUsed(chain.head, 0);
    queue.publish();
  }
  assertEquals(first.driver.usedIdx, 1);
});

Deno.test("Virtqueue.undoPop() lets the same request be taken again", () => {
  const { driver, queue, chain, state } = openRing({ startAt: 65535 });
  const head = driver.add([{ readable: 1 }]);
  assert(queue.pop(chain));
  queue.undoPop();
  assertEquals([queue.inFlight, state.nextAvail], [0, 65535]);
  assert(queue.pop(chain));
  assertEquals(chain.head, head);
});

Deno.test("Virtqueue.pop() ends a round after 256 requests", () => {
  const { driver, queue, chain } = openRing({ size: 1 });
  let count = 0;
  for (let i = 0; i < 1000; i++) {
    driver.offer(0);
    if (!queue.pop(chain)) break;
    queue.pushUsed(0, 0);
    queue.publish();
    count++;
  }
  assertEquals([count, queue.exhausted], [256, true]);
  queue.beginRound();
  assert(queue.pop(chain));
});

Deno.test("Virtqueue refuses to push more than it took: that would be our own bug", () => {
  const { queue } = openRing();
  assertThrows(() => queue.pushUsed(0, 0), Error, "not taken");
  assertThrows(() => queue.undoPop(), Error, "none is in flight");
});

Deno.test("Virtqueue refuses saved indices that no queue can have", () => {
  const wrong = [[9, 0], [0, 1], [0x1_0000, 0], [0, 0x1_0000], [5, 0xffff_fff0]] as const;
  for (const [nextAvail, nextUsed] of wrong) {
    const memory = testMemory();
    const state = queueState();
    setRegisters(state, new DriverQueue(memory, new GuestArena(0x1000, 0x10000), 8));
    state.nextAvail = nextAvail;
    state.nextUsed = nextUsed;
    assertThrows(() => new Virtqueue(memory, state, PLAIN), BrokenRing, "Cannot go on");
  }
});

Deno.test("Virtqueue goes on with all of its entries in flight", () => {
  const memory = testMemory();
  const state = queueState();
  setRegisters(state, new DriverQueue(memory, new GuestArena(0x1000, 0x10000), 8));
  state.nextAvail = 3;
  state.nextUsed = 0xfffb;
  assertEquals(new Virtqueue(memory, state, PLAIN).inFlight, 8);
});

Deno.test("Virtqueue goes on where a saved one stopped", () => {
  const { driver, queue, chain, state, memory } = openRing({ startAt: 65533 });
  for (let i = 0; i < 5; i++) driver.add([{ readable: 1 }]);
  for (let i = 0; i < 3; i++) {
    queue.pop(chain);
    queue.pushUsed(chain.head, 0);
  }
  queue.publish();
  const restored = new Virtqueue(memory, state, PLAIN);
  restored.beginRound();
  let more = 0;
  while (restored.pop(chain)) {
    restored.pushUsed(chain.head, 0);
    more++;
  }
  restored.publish();
  assertEquals([more, driver.used().length, driver.usedIdx], [2, 5, 2]);
});
