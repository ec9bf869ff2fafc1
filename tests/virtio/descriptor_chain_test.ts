import { assertEquals } from "@std/assert";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { DescriptorChain } from "../../src/virtio/descriptor_chain.ts";
import { fuzz, type Random } from "../support/random.ts";

const SIZE = 4096;

/** Buffers that lie anywhere, none on another: three readable ones, then three writable ones. */
const READABLE = [[100, 5], [3000, 1], [50, 20]] as const;
const WRITABLE = [[2000, 7], [10, 3], [1000, 30]] as const;

interface Made {
  readonly chain: DescriptorChain;
  readonly memory: Uint8Array;
}

function make(random: Random): Made {
  const memory = random.bytes(SIZE);
  const chain = new DescriptorChain(
    GuestMemory.onBuffers([{ guestAddress: 0, buffer: memory.buffer }]),
    6,
  );
  chain.begin(0);
  for (const buffer of READABLE) chain.add(Float64Array.from(buffer), false);
  for (const buffer of WRITABLE) chain.add(Float64Array.from(buffer), true);
  return { chain, memory };
}

/** Addresses of the bytes of buffers, in order. */
function addressesOf(buffers: readonly (readonly [number, number])[]): number[] {
  return buffers.flatMap(([at, length]) => Array.from({ length }, (_, i) => at + i));
}

Deno.test("DescriptorChain knows its buffers and their sums", () => {
  fuzz((random) => {
    const { chain } = make(random);
    assertEquals([chain.count, chain.readableCount], [6, 3]);
    assertEquals([chain.readableLength, chain.writableLength], [26, 40]);
  }, { rounds: 1 });
});

Deno.test("DescriptorChain.read() gives the readable bytes from any offset on", () => {
  const addresses = addressesOf(READABLE);
  fuzz((random) => {
    const { chain, memory } = make(random);
    const offset = random.below(30);
    const into = new Uint8Array(random.below(40));
    const wanted = addresses.slice(offset, offset + into.length).map((at) => memory[at] ?? 0);
    assertEquals(chain.read(offset, into), wanted.length);
    assertEquals([...into], [...wanted, ...new Uint8Array(into.length - wanted.length)]);
  }, { rounds: 500 });
});

Deno.test("DescriptorChain.write() fills the writable bytes from any offset on, and no other", () => {
  const addresses = addressesOf(WRITABLE);
  fuzz((random) => {
    const { chain, memory } = make(random);
    const wanted = memory.slice();
    const offset = random.below(45);
    const bytes = random.bytes(random.below(60));
    const places = addresses.slice(offset, offset + bytes.length);
    places.forEach((at, i) => wanted[at] = bytes[i] ?? 0);
    assertEquals(chain.write(offset, bytes), places.length);
    assertEquals(memory, wanted);
  }, { rounds: 300 });
});
