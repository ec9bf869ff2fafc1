/** A guest that changes a descriptor while the queue reads it. */

import { assert, assertEquals } from "@std/assert";
import { openAllGroups } from "../../src/host/libc.ts";
import { MappedMemory } from "../support/mapped_memory.ts";
import { readsOf, readTwice } from "../support/reads.ts";
import { requirement } from "../support/require.ts";
import { openRing } from "../support/ring.ts";
import type { RaceStart } from "./race_worker.ts";

const NEEDS = requirement("ffi");
if (!NEEDS.ignore) openAllGroups();

/** `struct vring_desc` as words: a buffer of 16 bytes, one outside RAM, one longer than RAM, and one of a loop. */
const GOOD = [0x1000, 0, 16, 2];
const BAD = [
  [0x8000_0000, 0, 16, 2],
  [0x1000, 0, 0xffff_ffff, 2],
  [0x1000, 0, 16, 3],
];

Deno.test("Virtqueue.pop() reads each byte of a descriptor and of an indirect table once", () => {
  const { driver, queue, chain, memory } = openRing();
  driver.add([{ readable: 8 }, { writable: 8 }]);
  driver.add([{ readable: 8 }, { writable: 8 }, { writable: 8 }], { indirect: true });
  const { buffer } = memory.dataView(driver.descAddress, 16);
  for (const descriptors of [2, 4]) {
    const reads = readsOf(buffer, () => assert(queue.pop(chain)));
    assertEquals(reads.length, 16 * descriptors);
    assertEquals(readTwice(reads), []);
  }
});

for (const bad of BAD) {
  Deno.test(
    `Virtqueue.pop() gives what it has checked while the guest changes it to ${bad}`,
    NEEDS,
    async () => {
      using mapped = new MappedMemory();
      const { driver, queue, chain } = openRing({ memory: mapped.memory });
      driver.setDescriptor(0, { address: 0x1000, length: 16, flags: 2 });
      const stop = new SharedArrayBuffer(4);
      const worker = new Worker(new URL("race_worker.ts", import.meta.url), { type: "module" });
      const stopped = new Promise((resolve) => worker.onmessage = resolve);
      const start: RaceStart = {
        address: mapped.memory.hostAddress(driver.descAddress, 16),
        contents: [GOOD, bad],
        stop,
      };
      worker.postMessage(start);
      const seen = { good: 0, refused: 0 };
      const wrong = new Set<string>();
      const end = Date.now() + 60_000;
      while ((Math.min(seen.good, seen.refused) < 50_000) && Date.now() < end) {
        queue.beginRound();
        driver.offer(0);
        if (queue.pop(chain)) {
          seen.good++;
          for (let i = 0; i < chain.count; i++) {
            const [address, length] = [chain.address(i), chain.length(i)];
            // Bytes of both may be mixed: V8 reads a word byte by byte as long as the code is cold.
            const isRam = mapped.memory.containsRange(Float64Array.of(address, length));
            if (!isRam) wrong.add(`${address}+${length}`);
          }
          queue.pushUsed(chain.head, 0);
        } else seen.refused++;
        queue.publish();
      }
      Atomics.store(new Int32Array(stop), 0, 1);
      await stopped;
      assertEquals([...wrong], []);
      assert(seen.good > 0 && seen.refused > 0, "the guest did change it");
    },
  );
}
