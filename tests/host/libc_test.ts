import { assertEquals, assertThrows } from "@std/assert";
import { EBADF, EISDIR, ENOENT, O_RDONLY } from "../../src/abi/linux.ts";
import { SystemError } from "../../src/base/errors.ts";
import { Fd, openPath } from "../../src/host/fd.ts";
import { read } from "../../src/host/file.ts";
import { ioctl } from "../../src/host/ioctl.ts";
import { check, cString } from "../../src/host/libc.ts";
import { libcRequirement } from "../support/libc.ts";

const needs = libcRequirement();

Deno.test("errno is the failed call's while garbage is collected", needs, () => {
  using folder = Fd.open("/", O_RDONLY);
  const bytes = new Uint8Array(16);
  const garbage: unknown[] = [];
  let wrong = 0;
  for (let i = 0; i < 200_000; i++) {
    if (read(folder.number, bytes) !== -EISDIR) wrong++;
    if (ioctl(-1, 0) !== -EBADF) wrong++;
    if (openPath("/missing", O_RDONLY) !== -ENOENT) wrong++;
    garbage[i % 1000] = new Array(20).fill(i);
  }
  assertEquals(wrong, 0);
  assertEquals(garbage.length, 1000);
});

Deno.test("check() passes results through and names call and context of a failure", () => {
  assertEquals(check("preadv", 42), 42);
  const error = assertThrows(
    () => check("preadv", -EBADF, 'Cannot read disk "a.img"'),
    SystemError,
    'Cannot read disk "a.img": preadv: EBADF (bad file descriptor)',
  );
  assertEquals(error.errno, EBADF);
});

Deno.test("cString() refuses NUL inside of a name", () => {
  assertThrows(() => cString("a\0b"), TypeError, "holds NUL");
  assertEquals([...cString("é")], [0xc3, 0xa9, 0]);
});
