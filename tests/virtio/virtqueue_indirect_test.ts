import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from "../../src/abi/virtio.ts";
import type { Descriptor } from "../support/driver.ts";
import { openRing, type RingOptions } from "../support/ring.ts";

const TABLE = 0xc000_0100;

interface Taken {
  readonly taken: boolean;
  readonly fault: string;
  readonly count: number;
}

/** Offers a descriptor that refers to an indirect table with these entries, and says what the device makes of it. */
function offerTable(
  entries: readonly Descriptor[],
  reference: Partial<Descriptor> = {},
  options: RingOptions = {},
): Taken {
  const { driver, queue, chain } = openRing(options);
  const { address = TABLE, length = entries.length * 16, flags = VRING_DESC_F_INDIRECT } =
    reference;
  entries.forEach((entry, i) => driver.writeDescriptor(TABLE, i, entry));
  driver.setDescriptor(0, { ...reference, address, length, flags });
  driver.offer(0);
  const taken = queue.pop(chain);
  return { taken, fault: queue.fault, count: chain.count };
}

function refused(fault: string): Pick<Taken, "taken" | "fault"> {
  return { taken: false, fault };
}

function verdict({ taken, fault }: Taken): Pick<Taken, "taken" | "fault"> {
  return { taken, fault };
}

/** `count` buffers in a row. */
function row(count: number): Descriptor[] {
  return Array.from({ length: count }, (_, i) => ({
    address: 0x1000 + i,
    length: 1,
    flags: i + 1 < count ? VRING_DESC_F_NEXT : 0,
    next: i + 1,
  }));
}

Deno.test("Virtqueue.pop() follows an indirect table (virtio 1.3 §2.7.5.3)", () => {
  const { driver, queue, chain } = openRing();
  const head = driver.add([{ readable: 16 }, { writable: 512 }, { writable: 1 }], {
    indirect: true,
  });
  assert(queue.pop(chain));
  assertEquals([chain.head, chain.count, chain.readableCount], [head, 3, 1]);
  assertEquals([chain.length(0), chain.length(1), chain.length(2)], [16, 512, 1]);
});

Deno.test("Virtqueue.pop() takes a table as long as the queue, whose entries come in any order", () => {
  const backwards: Descriptor[] = [
    { address: 0x1000, length: 1, flags: VRING_DESC_F_NEXT, next: 7 },
    { address: 0x1001, length: 2 },
    ...[1, 2, 3, 4, 5, 6].map((next) => ({
      address: 0x2000,
      length: 3,
      flags: VRING_DESC_F_NEXT,
      next,
    })),
  ];
  const { taken, count } = offerTable(backwards);
  assertEquals([taken, count], [true, 8]);
});

Deno.test("Virtqueue.pop() takes an indirect table after ordinary descriptors (virtio 1.3 §2.7.5.3.2)", () => {
  const { driver, queue, chain } = openRing();
  driver.writeDescriptor(TABLE, 0, { address: 0x2000, length: 5, flags: VRING_DESC_F_WRITE });
  driver.setDescriptor(0, { address: 0x1000, length: 3, flags: VRING_DESC_F_NEXT, next: 1 });
  driver.setDescriptor(1, { address: TABLE, length: 16, flags: VRING_DESC_F_INDIRECT });
  driver.offer(0);
  assert(queue.pop(chain));
  assertEquals([chain.readableLength, chain.writableLength], [3, 5]);
});

Deno.test("Virtqueue.pop() counts ordinary descriptors before a table to the chain's length", () => {
  const { driver, queue, chain } = openRing({ size: 4 });
  row(4).forEach((entry, i) => driver.writeDescriptor(TABLE, i, entry));
  driver.setDescriptor(0, { address: 0x1000, length: 3, flags: VRING_DESC_F_NEXT, next: 1 });
  driver.setDescriptor(1, { address: TABLE, length: 64, flags: VRING_DESC_F_INDIRECT });
  driver.offer(0);
  assertFalse(queue.pop(chain));
  assertEquals(queue.fault, "longer than the queue, or a loop");
});

Deno.test("Virtqueue.pop() ignores WRITE at the reference to a table (virtio 1.3 §2.7.5.3.2)", () => {
  const flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE;
  assert(offerTable(row(2), { flags }).taken);
});

Deno.test("Virtqueue.pop() takes a table at an odd address", () => {
  const { driver, queue, chain } = openRing();
  driver.writeDescriptor(TABLE + 3, 0, { address: 0x1000, length: 7 });
  driver.setDescriptor(0, { address: TABLE + 3, length: 16, flags: VRING_DESC_F_INDIRECT });
  driver.offer(0);
  assert(queue.pop(chain));
  assertEquals(chain.readableLength, 7);
});

Deno.test("Virtqueue.pop() refuses a table without the feature (virtio 1.3 §2.7.5.3.1)", () => {
  const result = offerTable(row(1), {}, { indirect: false });
  assertEquals(verdict(result), refused("INDIRECT without the feature"));
});

Deno.test("Virtqueue.pop() refuses INDIRECT and NEXT together (virtio 1.3 §2.7.5.3.1)", () => {
  const flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT;
  assertEquals(verdict(offerTable(row(1), { flags })), refused("INDIRECT and NEXT together"));
});

Deno.test("Virtqueue.pop() refuses a table within a table (virtio 1.3 §2.7.5.3.1)", () => {
  const nested = [{ address: TABLE, length: 16, flags: VRING_DESC_F_INDIRECT }];
  assertEquals(verdict(offerTable(nested)), refused("indirect table within another"));
});

for (const length of [0, 1, 15, 17, 24]) {
  Deno.test(`Virtqueue.pop() refuses a table of ${length} bytes`, () => {
    const result = offerTable(row(2), { length });
    assertEquals(verdict(result), refused("indirect table of odd size"));
  });
}

for (const entries of [9, 256, 65536, 0x0fff_ffff]) {
  Deno.test(`Virtqueue.pop() refuses a table of ${entries} entries for a queue of 8 (virtio 1.3 §2.7.5.3.1)`, () => {
    const result = offerTable(row(1), { length: entries * 16 });
    assertEquals(verdict(result), refused("indirect table longer than the queue"));
  });
}

for (const address of [0x8000_0000, 0xf_fff8, 2 ** 64 - 4096]) {
  Deno.test(`Virtqueue.pop() refuses a table at 0x${address.toString(16)}: not RAM`, () => {
    const result = offerTable(row(1), { address });
    assertEquals(verdict(result), refused("indirect table outside RAM"));
  });
}

Deno.test("Virtqueue.pop() refuses a next entry outside the table", () => {
  const entry = { address: 0x1000, length: 1, flags: VRING_DESC_F_NEXT, next: 1 };
  assertEquals(
    verdict(offerTable([entry])),
    refused("next descriptor outside its table"),
  );
});

Deno.test("Virtqueue.pop() refuses loops inside a table", () => {
  for (const length of [1, 2, 3]) {
    const loop = row(length).map((entry, i) => ({
      ...entry,
      flags: VRING_DESC_F_NEXT,
      next: (i + 1) % length,
    }));
    assertEquals(verdict(offerTable(loop)), refused("longer than the queue, or a loop"));
  }
});

Deno.test("Virtqueue.pop() refuses buffers outside RAM inside a table", () => {
  const result = offerTable([{ address: 0x8000_0000, length: 1 }]);
  assertEquals(verdict(result), refused("buffer outside RAM"));
});
