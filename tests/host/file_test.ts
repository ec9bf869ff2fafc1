import { assertEquals, assertThrows } from "@std/assert";
import {
  EBADF,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_RDONLY,
  Pollfd,
  POLLIN,
  S_IFCHR,
  S_IFREG,
} from "../../src/abi/linux.ts";
import { SystemError } from "../../src/base/errors.ts";
import { EventFd, Fd } from "../../src/host/fd.ts";
import {
  fallocate,
  fdatasync,
  fileStatus,
  ftruncate,
  getrandom,
  poll,
  pread,
  preadv,
  pwritev,
  read,
  write,
} from "../../src/host/file.ts";
import { Iovecs } from "../../src/host/iovecs.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { libcRequirement } from "../support/libc.ts";

const needs = libcRequirement();

Deno.test("pwritev() and preadv() move bytes between iovecs and a file past 4 GiB", needs, () => {
  using file = Fd.memory("vireo-test");
  using memory = Mapping.anonymous(8192);
  using iovecs = new Iovecs(2);
  const bytes = new Uint8Array(memory.buffer());
  bytes.set([1, 2, 3, 4], 0);
  const offset = 5 * 2 ** 32;
  iovecs.set(0, memory.address + 2, 2);
  iovecs.set(1, memory.address, 2);
  assertEquals(pwritev(file.number, iovecs.words, 2, offset), 4);
  iovecs.set(0, memory.address + 4096, 1);
  iovecs.set(1, memory.address + 5000, 3);
  assertEquals(preadv(file.number, iovecs.words, 2, offset), 4);
  assertEquals([bytes[4096], ...bytes.subarray(5000, 5003)], [3, 4, 1, 2]);
  assertEquals(fdatasync(file.number), 0);
});

Deno.test("file calls give negative errnos", needs, () => {
  const bytes = new Uint8Array(1);
  assertEquals(pread(-1, bytes, 0), -EBADF);
  assertEquals(write(-1, bytes), -EBADF);
  assertEquals(fdatasync(-1), -EBADF);
});

Deno.test("read() and write() never go past their bytes", needs, () => {
  using file = Fd.memory("vireo-test");
  assertEquals(write(file.number, new Uint8Array([1, 2, 3]), 100), 3);
  assertEquals(fileStatus(file.number).size, 3);
  assertEquals(read(file.number, new Uint8Array(2), 100), 0);
});

Deno.test("fileStatus() tells files from devices and two files apart", needs, () => {
  using file = Fd.memory("vireo-test");
  using other = Fd.memory("vireo-test");
  using zero = Fd.open("/dev/zero", O_RDONLY);
  assertEquals(ftruncate(file.number, 6 * 2 ** 32 + 1), 0);
  const status = fileStatus(file.number);
  assertEquals([status.type, status.size], [S_IFREG, 6 * 2 ** 32 + 1]);
  assertEquals(fileStatus(zero.number).type, S_IFCHR);
  assertEquals(status.inode === fileStatus(other.number).inode, false);
  assertThrows(() => fileStatus(-1, "Cannot look at it"), SystemError, "Cannot look at it: statx");
});

Deno.test("fallocate() punches holes", needs, () => {
  using file = Fd.memory("vireo-test");
  assertEquals(write(file.number, new Uint8Array(8192).fill(1)), 8192);
  const mode = FALLOC_FL_PUNCH_HOLE + FALLOC_FL_KEEP_SIZE;
  assertEquals(fallocate(file.number, mode, 0, 4096), 0);
  const bytes = new Uint8Array(8192);
  assertEquals(pread(file.number, bytes, 0), 8192);
  assertEquals([bytes[4095], bytes[4096]], [0, 1]);
});

Deno.test("getrandom() fills a view of mapped memory", needs, () => {
  using memory = Mapping.anonymous(4096);
  const bytes = new Uint8Array(memory.buffer(), 64, 256);
  assertEquals(getrandom(bytes), 256);
  assertEquals(new Set(bytes).size > 100, true);
  const around = new Uint8Array(memory.buffer());
  assertEquals(around.subarray(0, 64).every((byte) => byte === 0), true);
});

Deno.test("poll() sees a signalled eventfd", needs, () => {
  using event = EventFd.create();
  const pollfd = new Uint8Array(8);
  const view = new DataView(pollfd.buffer);
  view.setInt32(Pollfd.fd, event.number, true);
  view.setInt16(Pollfd.events, POLLIN, true);
  assertEquals(poll(pollfd, 1, 0), 0);
  event.signal();
  assertEquals(poll(pollfd, 1, 1000), 1);
  assertEquals(view.getInt16(Pollfd.revents, true), POLLIN);
});
