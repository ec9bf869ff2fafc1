import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { SharedLock, SharedState } from "../../src/memory/shared_state.ts";
import { requirement } from "../support/require.ts";
import type { LockStart } from "./lock_worker.ts";

const NEEDS = requirement();
const WORKERS = 4;
const ROUNDS = 20_000;

Deno.test("SharedState.allocate() gives zeroed blocks that share no cache line", () => {
  const state = SharedState.create(1024);
  const first = state.allocate(1, "first");
  const second = state.allocate(65, "second");
  const third = state.allocate(64, "third");
  assertEquals([first % 64, second - first, third - second], [0, 64, 128]);
  assert(first >= 64, "the header is nobody's");
  assert(state.bytes(second, 65).every((byte) => byte === 0));
});

Deno.test("SharedState.allocate() names who finds no room", () => {
  const state = SharedState.create(256);
  state.allocate(128, "first");
  const error = assertThrows(() => state.allocate(128, "serial0"), VireoError);
  assertStringIncludes(error.message, "128 bytes of shared state to serial0");
});

Deno.test("SharedState.lend() gives blocks to the next who wants their size, zeroed", () => {
  const state = SharedState.create(1024);
  const { result, giveBack } = state.lend(
    () => [state.allocate(64, "a"), state.allocate(200, "b")],
  );
  const kept = state.allocate(64, "kept");
  state.bytes(result[1] ?? 0, 200).fill(7);
  giveBack();
  giveBack();
  assertEquals(state.allocate(256, "c"), result[1]);
  assertEquals(state.allocate(1, "d"), result[0]);
  assertEquals(state.allocate(1, "e"), kept + 64);
  assert(state.bytes(result[1] ?? 0, 256).every((byte) => byte === 0));
});

Deno.test("SharedState.lend() takes back what work that fails had taken", () => {
  const state = SharedState.create(256);
  const greedy = () => state.lend(() => [state.allocate(64, "one"), state.allocate(1024, "more")]);
  for (let i = 0; i < 10; i++) assertThrows(greedy, VireoError, "1024 bytes");
  assertEquals([state.allocate(64, "a"), state.allocate(64, "b")], [64, 128]);
});

Deno.test("SharedState.attach() sees the state that another isolate made", () => {
  const made = SharedState.create(256);
  const offset = made.allocate(8, "test");
  made.view.setUint32(offset, 0xdeadbeef, true);
  const attached = SharedState.attach(made.buffer);
  assertEquals(attached.block(offset, 8).getUint32(0, true), 0xdeadbeef);
  assertEquals(attached.allocate(8, "next"), offset + 64);
});

Deno.test("SharedState.until() sees a change that another isolate notifies", async () => {
  const state = SharedState.create(256);
  const index = state.allocate(4, "word") / 4;
  setTimeout(() => {
    Atomics.store(state.words, index, 1);
    Atomics.notify(state.words, index);
  }, 10);
  assertEquals(await state.until(index, () => state.words[index] === 1, 5000), true);
});

Deno.test("SharedState.until() gives up when its time is over", async () => {
  const state = SharedState.create(256);
  const index = state.allocate(4, "word") / 4;
  const start = performance.now();
  assertEquals(await state.until(index, () => false, 30), false);
  assert(performance.now() - start < 2000);
});

Deno.test("SharedLock keeps four workers apart: no count is lost", NEEDS, async () => {
  const state = SharedState.create(1024);
  const start: LockStart = {
    buffer: state.buffer,
    lock: state.allocate(4, "lock"),
    counter: state.allocate(8, "counter"),
    gate: state.allocate(4, "gate"),
    workers: WORKERS,
    rounds: ROUNDS,
  };
  const ends = Array.from({ length: WORKERS }, () => {
    const worker = new Worker(new URL("./lock_worker.ts", import.meta.url), { type: "module" });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    worker.onmessage = () => resolve();
    worker.onerror = (event) => {
      event.preventDefault();
      reject(event.error);
    };
    worker.postMessage(start);
    return promise;
  });
  await Promise.all(ends);
  assertEquals(state.view.getUint32(start.counter, true), WORKERS * ROUNDS);
  assertEquals(state.words[start.lock / 4], 0, "the lock is free");
});

Deno.test("SharedLock can be taken again after its release", () => {
  const state = SharedState.create(256);
  const lock = state.lock(state.allocate(4, "lock"));
  for (let i = 0; i < 3; i++) {
    lock.acquire();
    lock.release();
  }
});

Deno.test("SharedLock.acquire() doesn't wait for a dead holder for ever", () => {
  const state = SharedState.create(256);
  const index = state.allocate(4, "lock") / 4;
  new SharedLock(state.words, index).acquire();
  const error = assertThrows(() => new SharedLock(state.words, index, 1).acquire(), VireoError);
  assertEquals(error.kind, "internal");
});
