/**
 * Random rings against a second reading of the specification. The oracle: each request that comes out is the one the model says,
 * memory outside its writable buffers and the used ring is untouched, and the used ring holds what was taken, in order, once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { TWO_32 } from "../../src/memory/guest_address.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { BrokenRing } from "../../src/virtio/split_ring.ts";
import { DriverQueue, TEST_REGIONS } from "../support/driver.ts";
import { fuzz, type Random } from "../support/random.ts";
import { openRing, type Ring } from "../support/ring.ts";
import { chainOf, copyOf, MemoryShadow } from "../support/ring_model.ts";

const REGION_SIZE = 0x1800;
/** Indirect tables and buffers are put here mostly, below the rings. */
const SCRATCH = 0xc000_0000;

Deno.test("Virtqueue takes what the specification says from random rings, and nothing else", () => {
  fuzz((random) => {
    const indirect = random.chance(0.8);
    const ring = openRing({
      size: 2 ** random.below(5),
      indirect,
      eventIdx: random.chance(0.5),
      startAt: random.pick([0, 1, 0x7fff, 0xfffc, 0xffff]),
      memory: smallMemory(),
    });
    const check = new RingCheck(ring, indirect);
    for (let step = random.between(1, 6); step > 0; step--) {
      scribble(random, ring);
      if (!check.serve(random)) return;
    }
  });
});

Deno.test("Virtqueue takes well-formed requests of random shape, all of them", () => {
  fuzz((random) => {
    const ring = openRing({ size: 16, startAt: random.below(0x1_0000), memory: smallMemory() });
    const heads: number[] = [];
    let taken = 0;
    for (let i = random.between(1, 8); i > 0 && ring.driver.free > 0; i--) {
      const count = random.between(1, Math.min(4, ring.driver.free));
      const firstWritable = random.between(0, count);
      const buffers = Array.from({ length: count }, (_, k) => {
        const size = random.below(64);
        return k < firstWritable ? { readable: size } : { writable: size };
      });
      heads.push(ring.driver.add(buffers, { indirect: random.chance(0.3) }));
    }
    while (ring.queue.pop(ring.chain)) {
      taken++;
      ring.queue.pushUsed(ring.chain.head, ring.chain.writableLength);
    }
    ring.queue.publish();
    assertEquals([taken, ring.queue.malformed], [heads.length, 0]);
    assertEquals(ring.driver.used().map(({ head }) => head), heads);
  });
});

function smallMemory(): GuestMemory {
  return GuestMemory.onBuffers(
    TEST_REGIONS.map((guestAddress) => ({ guestAddress, buffer: new ArrayBuffer(REGION_SIZE) })),
  );
}

/** Plays the device, and knows what must come out. */
class RingCheck {
  readonly #ring: Ring;
  readonly #indirect: boolean;
  #nextAvail: number;
  #seenAvail: number;
  readonly #held: { readonly head: number; readonly writable: number }[] = [];

  constructor(ring: Ring, indirect: boolean) {
    this.#ring = ring;
    this.#indirect = indirect;
    this.#nextAvail = ring.state.nextAvail;
    this.#seenAvail = this.#nextAvail;
  }

  /** One round of the device; false once the ring is broken. */
  serve(random: Random): boolean {
    const { driver, queue, chain, memory } = this.#ring;
    const shadow = new MemoryShadow(memory);
    shadow.allow(driver.usedAddress, 6 + 8 * driver.size);
    const before = this.#ring.state.nextUsed;
    const pushed: (readonly [head: number, length: number])[] = [];
    const overlaps = new Set<boolean>();
    queue.beginRound();
    queue.disableNotifications();
    let broken = false;
    for (;;) {
      const expected = this.#expect(pushed);
      broken = expected === "broken";
      const taken = this.#pop(broken);
      if (expected === "none" || expected === "broken") {
        assertEquals(taken, false);
        break;
      }
      assert(taken, "a request is taken");
      assertEquals(chain.head, expected.head);
      assertEquals(contentOf(this.#ring), expected.content);
      for (let i = chain.readableCount; i < chain.count; i++) {
        const length = Math.min(chain.length(i), 32);
        memory.bytes(chain.address(i), length).fill(random.u32());
        shadow.allow(chain.address(i), length);
        const end = chain.address(i) + length;
        overlaps.add(
          chain.address(i) < driver.usedAddress + 6 + 8 * driver.size && end > driver.usedAddress,
        );
      }
      this.#held.push({ head: chain.head, writable: chain.writableLength });
      // Requests end in any order, some of them rounds later.
      while (this.#held.length > 0 && random.chance(0.7)) {
        const [done] = this.#held.splice(random.below(this.#held.length), 1);
        const length = random.below((done?.writable ?? 0) + 1);
        queue.pushUsed(done?.head ?? 0, length);
        pushed.push([done?.head ?? 0, length]);
      }
    }
    queue.publish();
    queue.enableNotifications();
    assertEquals(shadow.firstChange(), undefined, "no other memory is touched");
    const now = (before + pushed.length) % 0x1_0000;
    assertEquals([this.#ring.state.nextUsed, this.#ring.state.nextAvail], [now, this.#nextAvail]);
    if (!overlaps.has(true) && pushed.length > 0) {
      assertEquals(driver.usedIdx, now);
      assertEquals(usedEntries(driver, before, pushed.length), pushed.slice(-driver.size));
    }
    return !broken;
  }

  /** What `pop` has to give; malformed chains on the way are pushed with length 0. */
  #expect(
    pushed: (readonly [number, number])[],
  ): "none" | "broken" | { readonly head: number; readonly content: readonly string[] } {
    const { driver, state } = this.#ring;
    let { memory } = driver;
    for (;;) {
      if (this.#nextAvail === this.#seenAvail) {
        const added = (driver.availIdx - this.#nextAvail + 0x1_0000) % 0x1_0000;
        if (added === 0) return "none";
        if (added > driver.size - this.#held.length) return "broken";
        this.#seenAvail = driver.availIdx;
      }
      const head = driver.memory.readU16(
        driver.availAddress + 4 + this.#nextAvail % driver.size * 2,
      );
      if (head >= driver.size) return "broken";
      const buffers = chainOf(driver, head, this.#indirect, memory);
      this.#nextAvail = (this.#nextAvail + 1) % 0x1_0000;
      if (buffers !== undefined) {
        const content = buffers.map(({ address, length, writable }) =>
          `${address}+${length} ${writable ? "w" : "r"}`
        );
        return { head, content };
      }
      // An indirect table may lie in the used ring, where the next chain finds what became of this one.
      if (memory === driver.memory) memory = copyOf(memory);
      const at = driver.usedAddress + 4 + (state.nextUsed + pushed.length) % driver.size * 8;
      memory.writeU32(at, head);
      memory.writeU32(at + 4, 0);
      pushed.push([head, 0]);
    }
  }

  /** Takes a request; a broken ring must be found where the model finds it, and nowhere else. */
  #pop(broken: boolean): boolean {
    try {
      const taken = this.#ring.queue.pop(this.#ring.chain);
      assertEquals(broken, false, "the ring is broken");
      return taken;
    } catch (error) {
      if (!(error instanceof BrokenRing) || !broken) throw error;
      return false;
    }
  }
}

function contentOf({ chain }: Ring): readonly string[] {
  return Array.from(
    { length: chain.count },
    (_, i) => `${chain.address(i)}+${chain.length(i)} ${i < chain.readableCount ? "r" : "w"}`,
  );
}

/** The newest `count` entries of the used ring, at most as many as it has. */
function usedEntries(driver: DriverQueue, before: number, count: number): unknown[] {
  const kept = Math.min(count, driver.size);
  return Array.from({ length: kept }, (_, i) => {
    const at = driver.usedAddress + 4 + ((before + count - kept + i) % driver.size) * 8;
    return [driver.memory.readU32(at), driver.memory.readU32(at + 4)];
  });
}

/** Plays a hostile driver: writes descriptors and tables, and offers heads. */
function scribble(random: Random, { driver, memory }: Ring): void {
  for (let i = 0; i < driver.size; i++) {
    if (random.chance(0.7)) descriptor(random, driver, driver.descAddress, i, driver.size);
  }
  for (let i = 0; i < 24; i++) {
    if (random.chance(0.7)) descriptor(random, driver, SCRATCH, i, 4);
  }
  for (let i = random.below(driver.size + 1); i > 0; i--) {
    driver.offer(random.chance(0.97) ? random.below(driver.size) : random.below(0x1_0000));
  }
  if (random.chance(0.03)) driver.availIdx = random.below(0x1_0000);
  if (random.chance(0.05)) memory.writeU32(driver.availAddress, random.u32());
  driver.usedEvent = random.below(0x1_0000);
}

function descriptor(
  random: Random,
  driver: DriverQueue,
  table: number,
  index: number,
  entries: number,
): void {
  const kind = random.below(100);
  const next = random.chance(0.9) ? random.below(entries) : random.below(0x1_0000);
  const buffer = { address: address(random), length: random.below(64), next };
  if (kind < 45) driver.writeDescriptor(table, index, { ...buffer, flags: random.pick([0, 2]) });
  else if (kind < 75) {
    driver.writeDescriptor(table, index, { ...buffer, flags: random.pick([1, 1, 3]) });
  } else if (kind < 90) {
    const length = random.chance(0.9) ? random.between(1, 6) * 16 : random.hostile32();
    const at = random.chance(0.9) ? SCRATCH + random.below(20) * 16 : address(random);
    driver.writeDescriptor(table, index, { address: at, length, flags: 4, next });
  } else {
    driver.writeDescriptor(table, index, {
      address: random.hostile32() + random.hostile32() * TWO_32,
      length: random.hostile32(),
      flags: random.below(0x1_0000),
      next,
    });
  }
}

/** Mostly somewhere in RAM, sometimes at the edge of a region or nowhere. */
function address(random: Random): number {
  const region = random.pick(TEST_REGIONS);
  const offset = random.below(100);
  if (offset < 85) return region + random.below(REGION_SIZE - 64);
  if (offset < 95) return region + REGION_SIZE - random.below(128);
  return random.hostile32() + random.below(4) * TWO_32;
}
