import { assert, assertEquals } from "@std/assert";
import { EBADF, EPOLLIN } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { write } from "../../src/host/file.ts";
import { IoUring } from "../../src/host/io_uring.ts";
import { Iovecs } from "../../src/host/iovecs.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { libcRequirement, openDescriptors } from "../support/libc.ts";
import { Random } from "../support/random.ts";
import { say } from "../support/progress.ts";
import { TestLoop } from "../support/test_loop.ts";
import { formatSkip } from "../support/require.ts";

const needs = ringRequirement();

/** io_uring is forbidden in some containers: Vireo then does its file I/O by other calls. */
function ringRequirement(): { readonly ignore: boolean } {
  const options = libcRequirement();
  if (options.ignore) return options;
  using ring = IoUring.create(1);
  const file = "tests/host/io_uring_test.ts";
  if (ring === null) say(formatSkip({ file, line: 14, reason: "this host has no io_uring" }));
  return { ignore: ring === null };
}

/** A ring, or a failing test. */
function createRing(entries: number): IoUring {
  const ring = IoUring.create(entries);
  assert(ring !== null);
  return ring;
}

/** Fetches all completions that are there, as `[userData, result]`. */
function fetchAll(ring: IoUring): [number, number][] {
  const all: [number, number][] = [];
  while (ring.next()) all.push([ring.userData, ring.result]);
  return all;
}

Deno.test("IoUring writes, syncs and reads at offsets past 4 GiB", needs, () => {
  using ring = createRing(4);
  using file = Fd.memory("vireo-test");
  using memory = Mapping.anonymous(4096);
  using iovecs = new Iovecs(2);
  const bytes = new Uint8Array(memory.buffer());
  const offset = 3 * 2 ** 32 + 512;
  bytes.set([1, 2, 3]);
  iovecs.set(0, memory.address, 3);
  assertEquals(ring.writev(file.number, iovecs.address, 1, offset, 0xffffffff), true);
  assertEquals(ring.wait(1), 0);
  assertEquals(fetchAll(ring), [[0xffffffff, 3]]);
  assertEquals(ring.fdatasync(file.number, 7), true);
  iovecs.set(1, memory.address + 100, 3);
  assertEquals(ring.readv(file.number, iovecs.addressAt(1), 1, offset, 8), true);
  assertEquals(ring.wait(2), 0);
  assertEquals(fetchAll(ring).sort(([a], [b]) => a - b), [[7, 0], [8, 3]]);
  assertEquals([...bytes.subarray(100, 103)], [1, 2, 3]);
});

Deno.test("IoUring gives a failure as the completion's negative errno", needs, () => {
  using ring = createRing(1);
  assertEquals(ring.fdatasync(-1, 5), true);
  assertEquals(ring.wait(1), 0);
  assertEquals(fetchAll(ring), [[5, -EBADF]]);
});

Deno.test("IoUring refuses more than fits and takes more after completions", needs, () => {
  using ring = createRing(2);
  using file = Fd.memory("vireo-test");
  assertEquals([1, 2, 3].map((i) => ring.fdatasync(file.number, i)), [true, true, false]);
  assertEquals(ring.submit(), 0);
  assertEquals([3, 4, 5].map((i) => ring.fdatasync(file.number, i)), [true, true, false]);
  assertEquals(ring.wait(4), 0);
  assertEquals(fetchAll(ring).map(([id]) => id).sort(), [1, 2, 3, 4]);
  assertEquals(ring.inFlight, 0);
  assertEquals(ring.fdatasync(file.number, 5), true);
});

Deno.test("IoUring never has more in flight than completions fit", needs, () => {
  using ring = createRing(2);
  using file = Fd.memory("vireo-test");
  // Two at a time can be prepared, and four can end before they are fetched.
  for (const [first, second] of [[1, 2], [3, 4]] as const) {
    assertEquals(ring.fdatasync(file.number, first), true);
    assertEquals(ring.fdatasync(file.number, second), true);
    assertEquals(ring.submit(), 0);
  }
  assertEquals(ring.fdatasync(file.number, 5), false);
  assertEquals(ring.wait(4), 0);
  assertEquals(ring.fdatasync(file.number, 5), false);
  assertEquals(ring.next(), true);
  assertEquals(ring.fdatasync(file.number, 5), true);
});

Deno.test("IoUring is ready in an event loop when completions are there", needs, () => {
  using ring = createRing(4);
  using file = Fd.memory("vireo-test");
  const ids: number[] = [];
  using turned = new TestLoop();
  const { loop } = turned;
  loop.add(ring.fd, EPOLLIN, () => {
    while (ring.next()) ids.push(ring.userData);
  });
  ring.fdatasync(file.number, 1);
  ring.fdatasync(file.number, 2);
  assertEquals(ring.submit(), 0);
  while (ids.length < 2) assertEquals(loop.runOnce(5000), 1);
  assertEquals(ids.sort(), [1, 2]);
});

Deno.test("IoUring: 20 000 reads in random batches each bring their own bytes", needs, () => {
  const random = new Random(7);
  using ring = createRing(32);
  using file = Fd.memory("vireo-test");
  using memory = Mapping.anonymous(32 * 4);
  using iovecs = new Iovecs(32);
  const words = new Uint32Array(memory.buffer(), 0, 32);
  const blocks = Uint32Array.from({ length: 4096 }, (_, i) => i * 2654435761);
  assertEquals(write(file.number, new Uint8Array(blocks.buffer)), blocks.byteLength);
  const asked = new Uint32Array(32);
  let wrong = 0;
  for (let done = 0; done < 20_000;) {
    const count = 1 + random.below(32);
    for (let i = 0; i < count; i++) {
      asked[i] = random.below(blocks.length);
      iovecs.set(i, memory.address + i * 4, 4);
      if (!ring.readv(file.number, iovecs.addressAt(i), 1, (asked[i] ?? 0) * 4, i)) wrong++;
    }
    if (ring.wait(count) !== 0) wrong++;
    for (const [id, result] of fetchAll(ring)) {
      if (result !== 4 || words[id] !== blocks[asked[id] ?? 0]) wrong++;
      done++;
    }
  }
  assertEquals(wrong, 0);
});

Deno.test("IoUring: dispose waits for what is in flight and closes everything", needs, () => {
  const before = openDescriptors();
  using file = Fd.memory("vireo-test");
  const ring = createRing(8);
  for (let i = 0; i < 8; i++) ring.fdatasync(file.number, i);
  ring.submit();
  ring[Symbol.dispose]();
  ring[Symbol.dispose]();
  assertEquals(ring.inFlight, 0);
  assertEquals(openDescriptors(), before + 1);
});
