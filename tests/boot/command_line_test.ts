import { assertEquals, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { parseBzImage } from "../../src/boot/bzimage.ts";
import {
  appendParameters,
  encodeCommandLine,
  virtioMmioParameters,
} from "../../src/boot/command_line.ts";
import { kernelImage } from "./kernel_image.ts";

const FILE = kernelImage();
const IMAGE = parseBzImage(FILE, FILE.length, "vmlinuz");

Deno.test("virtioMmioParameters() makes a clause per device (row 0.17)", () => {
  const devices = [
    { address: 0xd0000000, size: 0x1000, gsi: 5 },
    { address: 0xd0001000, size: 0x1000, gsi: 16 },
  ];
  assertEquals(virtioMmioParameters(devices), [
    "virtio_mmio.device=4K@0xd0000000:5",
    "virtio_mmio.device=4K@0xd0001000:16",
  ]);
});

for (
  const [given, result] of [
    ["", "a=1 b"],
    ["quiet", "quiet a=1 b"],
    ["quiet  ro ", "quiet ro a=1 b"],
    ["quiet -- sh -x", "quiet a=1 b -- sh -x"],
    ["-- sh", "a=1 b -- sh"],
    ["x=-- y", "x=-- y a=1 b"],
  ] as const
) {
  Deno.test(`appendParameters(${JSON.stringify(given)}) keeps init's arguments last`, () => {
    assertEquals(appendParameters(given, ["a=1", "b"]), result);
  });
}

Deno.test("encodeCommandLine() ends the text with a 0", () => {
  assertEquals([...encodeCommandLine("ro", IMAGE)], [0x72, 0x6f, 0]);
});

Deno.test("encodeCommandLine() takes as many bytes as the kernel reads, and no more", () => {
  assertEquals(encodeCommandLine("x".repeat(2047), IMAGE).length, 2048);
  assertThrows(
    () => encodeCommandLine("x".repeat(2048), IMAGE),
    VireoError,
    'Cannot load kernel "vmlinuz": its command line has 2048 bytes and it reads at most 2047',
  );
});

Deno.test("encodeCommandLine() counts bytes, not characters", () => {
  assertThrows(() => encodeCommandLine("é".repeat(1024), IMAGE), VireoError, "has 2048 bytes");
});

Deno.test("encodeCommandLine() stays in its place whatever a kernel claims to read", () => {
  const greedy = { ...IMAGE, commandLineSize: 0xffffffff };
  assertEquals(encodeCommandLine("x".repeat(65535), greedy).length, 65536);
  assertThrows(() => encodeCommandLine("x".repeat(65536), greedy), VireoError, "at most 65535");
});

Deno.test("encodeCommandLine() refuses a NUL", () => {
  assertThrows(() => encodeCommandLine("a\0b", IMAGE), VireoError, "NUL");
});
