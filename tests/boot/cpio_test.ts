import { assertEquals, assertThrows } from "@std/assert";
import { writeCpio } from "../../src/boot/cpio.ts";
import { VireoError } from "../../src/base/errors.ts";
import { readCpio } from "./cpio_reader.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("writeCpio() writes the exact header Linux parses", () => {
  const archive = writeCpio([{ kind: "file", path: "a", mode: 0o755, data: bytes("hello") }]);
  const text = new TextDecoder().decode(archive);
  assertEquals(
    text.slice(0, 110),
    "070701" + "00000001" + "000081ED" + "00000000" + "00000000" + "00000001" + "00000000" +
      "00000005" + "00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000",
  );
  assertEquals(text.slice(110, 120), "a\0hello\0\0\0");
  assertEquals(text.slice(120, 126), "070701");
  assertEquals(text.slice(230, 241), "TRAILER!!!\0");
  assertEquals(archive.length, 244);
});

Deno.test("writeCpio() keeps kinds, modes, links and device numbers", () => {
  const entries = readCpio(writeCpio([
    { kind: "directory", path: "dev" },
    { kind: "directory", path: "root", mode: 0o700 },
    { kind: "character", path: "dev/console", major: 5, minor: 1 },
    { kind: "block", path: "dev/vda", mode: 0o660, major: 254, minor: 16 },
    { kind: "symlink", path: "sh", target: "/bin/busybox" },
    { kind: "file", path: "empty", data: new Uint8Array() },
  ]));
  assertEquals(entries.map((entry) => [entry.path, entry.mode.toString(8), ...entry.device]), [
    ["dev", "40755", 0, 0],
    ["root", "40700", 0, 0],
    ["dev/console", "20600", 5, 1],
    ["dev/vda", "60660", 254, 16],
    ["sh", "120777", 0, 0],
    ["empty", "100644", 0, 0],
  ]);
  assertEquals(new TextDecoder().decode(entries[4]?.data), "/bin/busybox");
  assertEquals(new Set(entries.map((entry) => entry.inode)).size, 6);
});

Deno.test("writeCpio() makes archives that can stand one behind the other", () => {
  const first = writeCpio([{ kind: "file", path: "a", data: bytes("1") }]);
  const second = writeCpio([{ kind: "file", path: "bcd", data: bytes("12345") }]);
  const entries = readCpio(new Uint8Array([...first, ...second]));
  assertEquals(first.length % 4, 0);
  assertEquals(entries.map((entry) => entry.path), ["a", "bcd"]);
  assertEquals(new TextDecoder().decode(entries[1]?.data), "12345");
});

Deno.test("writeCpio() keeps UTF-8 names and arbitrary bytes", () => {
  const data = Uint8Array.from({ length: 1027 }, (_, index) => index % 256);
  const [entry] = readCpio(writeCpio([{ kind: "file", path: "größe/é", data }]));
  assertEquals(entry?.path, "größe/é");
  assertEquals(entry?.data, data);
});

Deno.test("writeCpio() refuses what Linux would skip or misread", () => {
  const file = (path: string) => () => writeCpio([{ kind: "file", path, data: new Uint8Array() }]);
  assertThrows(file(""), VireoError, "must not be empty");
  assertThrows(file("a\0b"), VireoError, "NUL");
  assertThrows(file("TRAILER!!!"), VireoError, "ends an archive");
  assertThrows(file("x".repeat(4096)), VireoError, "shorter than 4096 bytes");
  assertThrows(
    () => writeCpio([{ kind: "symlink", path: "l", target: "t\0" }]),
    VireoError,
    "NUL",
  );
  assertEquals(readCpio(writeCpio([{ kind: "directory", path: "x".repeat(4095) }])).length, 1);
});

Deno.test("writeCpio() refuses a file of 4 GiB before it copies anything", () => {
  const huge = { length: 2 ** 32 } as Uint8Array;
  assertThrows(
    () => writeCpio([{ kind: "file", path: "huge", data: huge }]),
    VireoError,
    "smaller than 4 GiB",
  );
});
