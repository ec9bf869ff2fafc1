/**
 * Random register accesses and notifications against a whole device, front and back. The oracle: nothing throws; the status is always
 * one that the specification knows; the back works only with features it can work with; memory outside the used rings of queues
 * that were in use is untouched; the registers change in the order of the specification only; and whatever has happened, a reset brings the device back to work.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  VIRTIO_MMIO_CONFIG,
  VIRTIO_MMIO_DRIVER_FEATURES,
  VIRTIO_MMIO_INTERRUPT_STATUS,
  VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
  VIRTIO_MMIO_QUEUE_DESC_HIGH,
  VIRTIO_MMIO_QUEUE_DESC_LOW,
  VIRTIO_MMIO_QUEUE_NOTIFY,
  VIRTIO_MMIO_QUEUE_NUM,
  VIRTIO_MMIO_QUEUE_READY,
  VIRTIO_MMIO_QUEUE_SEL,
  VIRTIO_MMIO_QUEUE_USED_HIGH,
  VIRTIO_MMIO_QUEUE_USED_LOW,
  VIRTIO_MMIO_STATUS,
} from "../../src/abi/virtio.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { DescriptorChain } from "../../src/virtio/descriptor_chain.ts";
import type { VirtioContext, VirtioDevice } from "../../src/virtio/virtio_device.ts";
import { PHASE } from "../../src/virtio/virtio_state.ts";
import { GuestArena, TEST_REGIONS } from "../support/driver.ts";
import { fuzz, type Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";
import { MemoryShadow } from "../support/ring_model.ts";
import { VirtioBench } from "../support/virtio_bench.ts";
import { TEST_SPEC } from "../support/virtio_front.ts";

const REGION_SIZE = 0x2000;
/** Statuses that a device can show: steps of initialization, with FAILED and NEEDS_RESET or without. */
const STATUSES = new Set([0, 1, 3, 0xb, 0xf].flatMap((s) => [s, s | 0x80, s | 0x40, s | 0xc0]));

const QUEUE_REGISTERS = [
  VIRTIO_MMIO_QUEUE_SEL,
  VIRTIO_MMIO_QUEUE_NUM,
  VIRTIO_MMIO_QUEUE_READY,
  VIRTIO_MMIO_QUEUE_DESC_LOW,
  VIRTIO_MMIO_QUEUE_DESC_HIGH,
  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
  VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
  VIRTIO_MMIO_QUEUE_USED_LOW,
  VIRTIO_MMIO_QUEUE_USED_HIGH,
] as const;

/** Gives every request back at once, unwritten. */
function returner(context: VirtioContext): VirtioDevice {
  const chain = new DescriptorChain(context.memory, 64);
  return {
    processQueue(_index, queue) {
      while (queue.pop(chain)) queue.pushUsed(chain.head, 0);
    },
  };
}

Deno.test("MmioFront and VirtioBack survive any order of accesses", requirement("ffi"), () => {
  let worked = 0;
  fuzz((random) => {
    const memory = GuestMemory.onBuffers(
      TEST_REGIONS.map((guestAddress) => ({ guestAddress, buffer: new ArrayBuffer(REGION_SIZE) })),
    );
    for (const { guestAddress } of memory.regions) memory.write(guestAddress, random.bytes(1024));
    using bench = VirtioBench.open({ spec: TEST_SPEC, device: returner, memory });
    const shadow = new MemoryShadow(memory);
    let before = seen(bench);
    for (let i = random.between(10, 60); i > 0; i--) {
      act(random, bench, shadow);
      const now = seen(bench);
      check(bench, shadow);
      checkStep(before, now);
      if (random.chance(0.3)) bench.turn();
      before = seen(bench);
      if (bench.block.phase === PHASE.ACTIVE) worked++;
    }
    bench.turn();
    check(bench, shadow);
    assertEquals(shadow.firstChange(), undefined, "no other memory is touched");
    requireWork(bench);
  });
  assert(worked > 0, "the accesses brought a device to work in some rounds");
});

/** One thing that a driver does, sane or not. */
function act(random: Random, bench: VirtioBench, shadow: MemoryShadow): void {
  const { driver } = bench;
  const kind = random.below(100);
  if (kind < 30) stepOn(random, bench);
  else if (kind < 35) driver.status = random.chance(0.5) ? 0 : random.below(256);
  else if (kind < 55) setUpQueue(random, bench);
  else if (kind < 60) driver.write(random.pick(QUEUE_REGISTERS), random.hostile32());
  else if (kind < 65) driver.write(VIRTIO_MMIO_DRIVER_FEATURES, random.u32());
  else if (kind < 75) {
    driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, random.chance(0.8) ? random.below(2) : random.u32());
  } else if (kind < 90) anyAccess(random, bench);
  else if (kind < 95) {
    const at = random.pick(TEST_REGIONS) + random.below(4096);
    bench.memory.writeU16(at, random.below(4));
    shadow.allow(at, 2);
  } else if (random.chance(0.5)) bench.back.drain();
  else bench.back.resume();
}

/** The next step of initialization, most of the time. */
function stepOn(random: Random, { driver }: VirtioBench): void {
  const { status } = driver;
  if (status === 3 && random.chance(0.9)) {
    const offered = driver.offered();
    const taken = offered.filter((bit) => bit === 32 || random.chance(0.7));
    driver.takeFeatures(random.chance(0.9) ? taken : [...new Set([...taken, random.below(64)])]);
  }
  const next = new Map([[0, 1], [1, 3], [3, 0xb], [0xb, 0xf]]).get(status) ?? 0;
  driver.status = next === 0 && random.chance(0.7) ? status : next;
}

/** A queue at random places in RAM, with an empty ring most of the time. */
function setUpQueue(random: Random, { driver }: VirtioBench): void {
  const at = () => random.pick(TEST_REGIONS) + random.below(256) * 16;
  driver.write(VIRTIO_MMIO_QUEUE_SEL, random.below(3));
  driver.write(VIRTIO_MMIO_QUEUE_NUM, random.chance(0.9) ? 2 ** random.below(7) : random.u32());
  const pairs = [
    [VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH],
    [VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH],
    [VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH],
  ] as const;
  for (const [low, high] of pairs) {
    const address = at();
    driver.write(low, address % 2 ** 32);
    driver.write(high, Math.trunc(address / 2 ** 32));
  }
  driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
}

/** Any width at any offset. */
function anyAccess(random: Random, { front }: VirtioBench): void {
  const offset = random.chance(0.5) ? random.below(0x40) * 4 : random.below(0x1000);
  const size = random.pick([1, 2, 4, 4, 4, 8]);
  const near = random.chance(0.3) ? VIRTIO_MMIO_CONFIG + random.below(16) : offset;
  if (size === 8) {
    front.readWide(near);
    front.writeWide(near, BigInt(random.u32()) << 16n);
    return;
  }
  const value = front.read(near, size);
  assert(
    Number.isInteger(value) && value >= (size === 4 ? -(2 ** 31) : 0) && value < 2 ** (8 * size),
    `${value} fits ${size} bytes`,
  );
  // Status 0 is tried often enough elsewhere.
  if (near !== VIRTIO_MMIO_STATUS) {
    front.write(near, size, random.hostile32() % 2 ** (8 * size));
  }
}

/** What must hold at any time; used rings that are in use now may differ from here on. */
function check({ driver, block }: VirtioBench, shadow: MemoryShadow): void {
  assert(STATUSES.has(driver.status), `status 0x${driver.status.toString(16)}`);
  assert(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS) < 4);
  if ((driver.status & 8) !== 0) {
    const taken = [0, 1].map((half) => block.driverFeatures(half));
    assertEquals([(taken[0]! & ~0x3000_0021) >>> 0, (taken[1]! & ~0x101) >>> 0], [0, 0]);
    assertEquals(taken[1]! & 1, 1);
  }
  if (block.phase === PHASE.IDLE) return;
  assert((driver.status & 4) !== 0, "a back works after DRIVER_OK only");
  for (const queue of block.queues.filter(({ ready }) => ready)) {
    shadow.allow(queue.deviceArea, 6 + 8 * queue.size);
  }
}

/** What a step may change only in certain ways. */
interface Seen {
  readonly status: number;
  readonly features: readonly number[];
  readonly queues: readonly { readonly ready: boolean; readonly registers: readonly number[] }[];
}

function seen({ block }: VirtioBench): Seen {
  return {
    status: block.status,
    features: [block.driverFeatures(0), block.driverFeatures(1)],
    queues: block.queues.map((queue) => ({
      ready: queue.ready,
      registers: [queue.size, queue.descriptorArea, queue.driverArea, queue.deviceArea],
    })),
  };
}

/** A status loses bits by a reset alone; features stay from FEATURES_OK on, queues while they are ready or in use. */
function checkStep(before: Seen, now: Seen): void {
  const [old, status] = [before.status & ~0x40, now.status & ~0x40];
  if (status === 0) return;
  assertEquals(status & old, old, "no status bit is taken back");
  if ((old & 8) !== 0) assertEquals(now.features, before.features);
  before.queues.forEach(({ ready, registers }, i) => {
    const queue = now.queues[i];
    if ((old & 8) === 0) assertEquals(queue?.ready, false);
    if ((old & 4) !== 0) assertEquals(queue?.ready, ready);
    if (queue?.ready && (ready || (old & 4) !== 0)) assertEquals(queue.registers, registers);
  });
}

/** Resets the device, initializes it as a driver should, and has it answer a request. */
function requireWork(bench: VirtioBench): void {
  bench.back.resume();
  const { driver, memory } = bench;
  memory.regions.forEach(({ guestAddress, size }) =>
    memory.write(guestAddress, new Uint8Array(size))
  );
  driver.arena = new GuestArena(TEST_REGIONS[1], REGION_SIZE);
  driver.status = 0;
  assertEquals([driver.status, bench.block.phase], [0, PHASE.IDLE]);
  bench.initialize({ features: [] });
  const [, queue] = driver.queues;
  assert(queue);
  const head = queue.add([{ writable: 16 }]);
  bench.notify(1);
  assertEquals(queue.used(), [{ head, length: 0 }]);
}
