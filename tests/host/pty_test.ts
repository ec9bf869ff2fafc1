import { assertEquals, assertMatch } from "@std/assert";
import { EAGAIN } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { read, write } from "../../src/host/file.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Pty } from "../../src/host/pty.ts";
import { SharedStream } from "../../src/host/tty.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const O_RDWR_NOCTTY = 0o402;

Deno.test("Pty passes bytes as they are, both ways", requirement("ffi"), () => {
  using pty = Pty.open();
  assertMatch(pty.path, /^\/dev\/pts\/\d+$/);
  using device = Fd.open(pty.path, O_RDWR_NOCTTY);
  const sent = Uint8Array.of(3, 4, 10, 13, 0, 255);
  const got = new Uint8Array(16);
  assertEquals(write(pty.master.number, sent), sent.length);
  assertEquals(got.subarray(0, read(device.number, got)), sent);
  assertEquals(write(device.number, sent), sent.length);
  assertEquals(got.subarray(0, read(pty.master.number, got)), sent);
});

Deno.test(
  "Pty echoes nothing, and has no end while nobody is at its device",
  requirement("ffi"),
  () => {
    using pty = Pty.open();
    using stream = SharedStream.of(pty.master.number);
    assertEquals(stream.write(Uint8Array.of(104, 105)), 2);
    assertEquals(stream.read(new Uint8Array(8)), -EAGAIN);
  },
);
