import { assertEquals } from "@std/assert";
import { ESRCH } from "../../src/abi/linux.ts";
import { EventFd } from "../../src/host/fd.ts";
import { addressOf } from "../../src/host/mapping.ts";
import { endThread, PlainThread } from "../../src/host/plain_thread.ts";
import {
  blockKicks,
  drainKicks,
  KICK_SIGNAL,
  kickThread,
  nameThread,
  pinThread,
  runSignalMask,
  threadId,
  threadSleeps,
} from "../../src/host/thread.ts";
import { libcRequirement, threads } from "../support/libc.ts";
import { comes } from "../support/pause.ts";

const needs = libcRequirement();

/** A line of the calling thread's status in /proc. */
function threadStatus(field: string): string | undefined {
  const text = Deno.readTextFileSync(`/proc/self/task/${threadId()}/status`);
  return new RegExp(`^${field}:\\s+(.*)$`, "m").exec(text)?.[1];
}

Deno.test("kicks stay pending in a thread that blocks them, and drain counts them", needs, () => {
  blockKicks();
  assertEquals(drainKicks(), 0);
  for (let i = 0; i < 3; i++) assertEquals(kickThread(threadId()), 0);
  assertEquals(drainKicks(), 3);
  assertEquals(drainKicks(), 0);
});

Deno.test("blockKicks() blocks the kick's signal and no other", needs, () => {
  blockKicks();
  const blocked = BigInt(`0x${threadStatus("SigBlk")}`);
  assertEquals(blocked, 1n << BigInt(KICK_SIGNAL - 1));
});

Deno.test("kickThread() of a thread that doesn't exist gives ESRCH", needs, () => {
  assertEquals(kickThread(2 ** 22 - 1), -ESRCH);
});

Deno.test("threadSleeps() tells a thread that waits from one that runs", needs, async () => {
  using event = EventFd.create(0);
  const count = new Uint8Array(8);
  const before = new Set(threads());
  using thread = PlainThread.start(["read", event.number, addressOf(count), 8]);
  const [waiting = 0] = threads().filter((id) => !before.has(id));
  await comes(() => threadSleeps(waiting));
  assertEquals([threadSleeps(waiting), threadSleeps(threadId())], [true, false]);
  event.signal();
  endThread(thread.id);
  assertEquals(threadSleeps(2 ** 22 - 1), true);
});

Deno.test("runSignalMask() leaves open kicks and faults alone", () => {
  const mask = runSignalMask();
  const open = Array.from({ length: 64 }, (_, i) => i + 1)
    .filter((signal) =>
      ((mask[Math.floor((signal - 1) / 8)] ?? 0) >> ((signal - 1) % 8)) % 2 === 0
    );
  assertEquals(open, [4, 5, 7, 8, 11, KICK_SIGNAL]);
});

Deno.test("nameThread() and pinThread() work on the calling thread", needs, () => {
  const before = { name: threadStatus("Name"), processors: threadStatus("Cpus_allowed_list") };
  nameThread("vireo test of a long name");
  pinThread([0]);
  assertEquals([threadStatus("Name"), threadStatus("Cpus_allowed_list")], ["vireo test of a", "0"]);
  nameThread(before.name ?? "deno");
  const all = Array.from({ length: navigator.hardwareConcurrency }, (_, i) => i);
  pinThread(all);
  assertEquals(threadStatus("Name"), before.name);
});
