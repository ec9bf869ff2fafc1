/**
 * Random chains against the entropy device. The oracle: every chain comes back once with the room it had, and nothing but that room
 * is written.
 */

import { assert } from "@std/assert";
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from "../../src/abi/virtio.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { Rng, RNG_SPEC } from "../../src/virtio/rng.ts";
import { ChainAttack, roomIn, settle } from "../support/chain_attack.ts";
import { GuestArena, TEST_REGIONS } from "../support/driver.ts";
import { fuzz, type Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";
import type { ModelBuffer } from "../support/ring_model.ts";
import { VirtioBench } from "../support/virtio_bench.ts";

const REGION_SIZE = 0x4000;

Deno.test("Rng fills the room of random chains, and nothing else", requirement("ffi"), () => {
  const memory = GuestMemory.onBuffers(
    TEST_REGIONS.map((guestAddress) => ({ guestAddress, buffer: new ArrayBuffer(REGION_SIZE) })),
  );
  using bench = VirtioBench.open({
    spec: RNG_SPEC,
    device: (context) => new Rng(context),
    memory,
  });
  let filled = 0;
  fuzz((random) => {
    filled += attackOnce(random, bench);
  }, { rounds: 200 });
  assert(filled > 0, "some chains had room");
});

/** A driver's life; gives how many bytes it got. */
function attackOnce(random: Random, bench: VirtioBench): number {
  const { driver, memory } = bench;
  driver.status = 0;
  memory.write(TEST_REGIONS[2], new Uint8Array(REGION_SIZE));
  driver.arena = new GuestArena(TEST_REGIONS[2] + 16, REGION_SIZE - 16);
  bench.initialize({
    features: [VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX]
      .filter(() => random.chance(0.7)),
  });
  const served: ModelBuffer[] = [];
  let filled = 0;
  const attack = new ChainAttack(bench, 0, {
    serve: (buffers) => {
      served.push(...buffers.filter(({ writable }) => writable));
      filled += roomIn(buffers);
      return roomIn(buffers);
    },
  });
  for (let step = random.between(1, 8); step > 0; step--) {
    for (let i = random.below(5); i > 0; i--) attack.offer(random, "any");
    settle(bench, [attack], (model) => {
      for (const { address, length } of served.splice(0)) {
        model.write(Number(address), memory.bytes(Number(address), Number(length)));
      }
    });
  }
  return filled;
}
