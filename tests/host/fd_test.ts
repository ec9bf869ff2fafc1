import { assertEquals, assertThrows } from "@std/assert";
import { EFD_SEMAPHORE, O_RDONLY } from "../../src/abi/linux.ts";
import { SystemError, VireoError } from "../../src/base/errors.ts";
import { EventFd, Fd } from "../../src/host/fd.ts";
import { pread, write } from "../../src/host/file.ts";
import { libcRequirement, openDescriptors } from "../support/libc.ts";

const needs = libcRequirement();

Deno.test("Fd.open() names the path and the errno of a failure", needs, () => {
  const error = assertThrows(() => Fd.open("/nowhere/at/all", O_RDONLY), SystemError);
  assertEquals(error.code, "ENOENT");
  assertEquals(error.syscall, "open");
  assertEquals(
    error.message,
    'Cannot open "/nowhere/at/all": open: ENOENT (no such file or directory)',
  );
});

Deno.test("Fd.open() opens close-on-exec", needs, () => {
  using fd = Fd.open("/dev/null", O_RDONLY);
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd.number}`);
  assertEquals(/flags:\s*0(\d+)/.exec(info)?.[1]?.startsWith("2"), true);
});

Deno.test("Fd.close() closes once and never the number's next owner", needs, () => {
  const first = Fd.open("/dev/null", O_RDONLY);
  const number = first.number;
  first.close();
  using second = Fd.open("/dev/null", O_RDONLY);
  assertEquals(second.number, number);
  first.close();
  first[Symbol.dispose]();
  assertEquals(Deno.readLinkSync(`/proc/self/fd/${number}`), "/dev/null");
});

Deno.test("Fd.number throws with kind closed after close", needs, () => {
  const fd = Fd.open("/dev/null", O_RDONLY);
  fd.close();
  assertEquals(assertThrows(() => fd.number, VireoError).kind, "closed");
});

Deno.test("Fd.move() and release() leave the descriptor to its new owner", needs, () => {
  const before = openDescriptors();
  const fd = Fd.open("/dev/null", O_RDONLY);
  const moved = fd.move();
  fd.close();
  assertEquals(openDescriptors(), before + 1);
  assertEquals(fd.closed, true);
  const number = moved.release();
  moved.close();
  assertEquals(openDescriptors(), before + 1);
  new Fd(number).close();
  assertEquals(openDescriptors(), before);
});

Deno.test("Fd.duplicate() shares the open file", needs, () => {
  using fd = Fd.memory("vireo-test");
  using other = fd.duplicate();
  assertEquals(write(fd.number, new Uint8Array([1, 2, 3])), 3);
  const bytes = new Uint8Array(3);
  assertEquals(pread(other.number, bytes, 0), 3);
  assertEquals([...bytes], [1, 2, 3]);
});

Deno.test("EventFd.read() takes the count of signals and sets it to zero", needs, () => {
  using event = EventFd.create();
  assertEquals(event.read(), 0);
  for (let i = 0; i < 1000; i++) event.signal();
  assertEquals(event.read(), 1000);
  assertEquals(event.read(), 0);
});

Deno.test("EventFd.create() takes flags", needs, () => {
  using event = EventFd.create(EFD_SEMAPHORE);
  event.signal();
  event.signal();
  assertEquals([event.read(), event.read()], [1, 1]);
});

Deno.test("EventFd.borrow() signals the same counter and closes nothing", needs, () => {
  using event = EventFd.create();
  {
    using borrowed = EventFd.borrow(event.number);
    borrowed.signal();
  }
  assertEquals(event.read(), 1);
});

Deno.test("EventFd.signal() throws with kind closed after close", needs, () => {
  const event = EventFd.create();
  event[Symbol.dispose]();
  assertEquals(assertThrows(() => event.signal(), VireoError).kind, "closed");
});
