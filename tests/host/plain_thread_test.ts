import { assertEquals, assertLess } from "@std/assert";
import { EventFd } from "../../src/host/fd.ts";
import { addressOf } from "../../src/host/mapping.ts";
import { endThread, PlainThread } from "../../src/host/plain_thread.ts";
import { threadId } from "../../src/host/thread.ts";
import { libcRequirement, statusKib, threads } from "../support/libc.ts";
import { comes } from "../support/pause.ts";

const needs = libcRequirement();

/** Signals that the calling thread, or another of this process, blocks: bit n is signal n + 1. */
function blockedSignals(thread: number): bigint {
  const text = Deno.readTextFileSync(`/proc/self/task/${thread}/status`);
  return BigInt(`0x${/^SigBlk:\s+(.*)$/m.exec(text)?.[1]}`);
}

/** The thread of this process that waits in `read` of a descriptor. */
async function readerOf(descriptor: number): Promise<number> {
  const call = `0 0x${descriptor.toString(16)} `;
  const reads = (thread: number) =>
    Deno.readTextFileSync(`/proc/self/task/${thread}/syscall`).startsWith(call);
  await comes(() => threads().some(reads));
  return threads().find(reads) ?? 0;
}

/** Signals that nobody can block: KILL, STOP, and two that glibc keeps for itself. */
const UNBLOCKABLE = [9, 19, 32, 33];
/** Those of a thread's own faults: ILL, TRAP, BUS, FPE, SEGV. */
const FAULTS = [4, 5, 7, 8, 11];

Deno.test("PlainThread.start() makes its call, and endThread() waits for that", needs, () => {
  using event = EventFd.create();
  const seven = new Uint8Array(new BigUint64Array([7n]).buffer);
  using thread = PlainThread.start(["write", event.number, addressOf(seven), 8]);
  endThread(thread.id);
  assertEquals([event.read(), seven[0]], [7, 7]);
});

Deno.test("a plain thread blocks all signals but faults, and its maker none", needs, async () => {
  using event = EventFd.create(0);
  const count = new Uint8Array(8);
  using thread = PlainThread.start(["read", event.number, addressOf(count), 8]);
  const blocked = blockedSignals(await readerOf(event.number));
  event.signal();
  endThread(thread.id);
  const open = Array.from({ length: 64 }, (_, i) => i + 1)
    .filter((signal) => (blocked >> BigInt(signal - 1)) % 2n === 0n);
  assertEquals(open, [...FAULTS, ...UNBLOCKABLE].sort((a, b) => a - b));
  assertEquals([count[0], blockedSignals(threadId())], [1, 0n]);
});

Deno.test("10000 plain threads leave neither threads nor memory behind", needs, () => {
  const run = () => {
    using thread = PlainThread.start(["getpid", 0, 0, 0]);
    endThread(thread.id);
  };
  for (let i = 0; i < 100; i++) run();
  const before = { threads: threads().length, size: statusKib("VmSize") };
  for (let i = 0; i < 10_000; i++) run();
  assertEquals(threads().length, before.threads);
  // Each one has 136 KiB.
  assertLess(statusKib("VmSize") - before.size, 100_000);
});
