import { assertEquals, assertFalse, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { type BzImage, isBzImage, parseBzImage } from "../../src/boot/bzimage.ts";
import { type ImageOptions, kernelImage } from "./kernel_image.ts";

function parse(options: ImageOptions = {}): BzImage {
  const file = kernelImage(options);
  return parseBzImage(file.subarray(0, 1024), file.length, "vmlinuz");
}

Deno.test("parseBzImage() reads a header of protocol 2.15", () => {
  const { header, ...facts } = parse();
  assertEquals(header.length, 0x26c - 0x1f1);
  assertEquals(facts, {
    kind: "bzimage",
    name: "vmlinuz",
    protocol: 0x20f,
    kernelOffset: 2048,
    kernelSize: 4096,
    commandLineSize: 2047,
    initrdAddressMax: 0x7fffffff,
    preferredAddress: 0x1000000,
    alignment: 0x200000,
    relocatable: true,
    initSize: 0x800000,
  });
});

Deno.test("parseBzImage() takes setup_sects 0 for 4", () => {
  assertEquals(parse({ fields: { setup_sects: 0 } }).kernelOffset, 5 * 512);
});

Deno.test("parseBzImage() takes setup_sects 255", () => {
  assertEquals(parse({ fields: { setup_sects: 255 } }).kernelOffset, 256 * 512);
});

Deno.test("parseBzImage() takes the shorter header of protocol 2.12", () => {
  const { header } = parse({ fields: { version: 0x20c, jump: 0x66eb } });
  assertEquals(header.length, 0x268 - 0x1f1);
});

Deno.test("parseBzImage() copies no more of a longer header than boot_params holds", () => {
  assertEquals(parse({ fields: { jump: 0xffeb } }).header.length, 0x290 - 0x1f1);
});

Deno.test("parseBzImage() loads what follows syssize too, such as a signature", () => {
  assertEquals(parse({ extra: 1234 }).kernelSize, 4096 + 1234);
});

Deno.test("parseBzImage() accepts a last paragraph that is not whole", () => {
  assertEquals(parse({ extra: -15 }).kernelSize, 4096 - 15);
});

const MALFORMED: readonly (readonly [string, ImageOptions, string])[] = [
  ["a file without HdrS", { fields: { header: 0x12345678 } }, "has no Linux boot header (HdrS)"],
  ["a file without a boot flag", { fields: { boot_flag: 0 } }, "has no Linux boot header (HdrS)"],
  ["protocol 2.05", { fields: { version: 0x205 } }, "boot protocol 2.05 is older than 2.06"],
  ["protocol 2.11", { fields: { version: 0x20b } }, "boot protocol 2.11 has no 64-bit entry"],
  ["a 32-bit kernel", { fields: { xloadflags: 2 } }, "has no 64-bit entry point (XLF_KERNEL_64)"],
  ["a zImage", { fields: { loadflags: 0 } }, "is a zImage"],
  ["a header cut short by its jump", { fields: { jump: 0x10eb } }, "boot header has 33 bytes"],
  ["syssize 0", { fields: { syssize: 0 } }, "says that it is empty"],
  ["syssize past the end", { fields: { syssize: 0xffffffff } }, "is truncated: 6144 bytes of"],
  ["a file cut by a paragraph", { extra: -16 }, "is truncated: 6128 bytes of 6144"],
  ["a file cut inside its setup part", { extra: -5000 }, "is truncated: 1144 bytes of 6144"],
  ["setup_sects past the end", { fields: { setup_sects: 255 }, extra: -131072 }, "is truncated"],
  [
    "alignment 0",
    { fields: { kernel_alignment: 0 } },
    "kernel_alignment, 0, is not a power of two",
  ],
  [
    "alignment 3",
    { fields: { kernel_alignment: 3 } },
    "kernel_alignment, 3, is not a power of two",
  ],
];

for (const [name, options, message] of MALFORMED) {
  Deno.test(`parseBzImage() refuses ${name}`, () => {
    const error = assertThrows(() => parse(options), VireoError, message);
    assertEquals(error.kind, "load_memory");
    assertEquals(error.message.startsWith('Cannot load kernel "vmlinuz": '), true);
  });
}

Deno.test("parseBzImage() refuses every prefix of a kernel", () => {
  const file = kernelImage();
  for (let length = 0; length < file.length - 15; length++) {
    const cut = file.subarray(0, length);
    assertThrows(() => parseBzImage(cut.subarray(0, 1024), length, "vmlinuz"), VireoError);
  }
});

Deno.test("isBzImage() is false for other files", () => {
  assertFalse(isBzImage(new Uint8Array()));
  assertFalse(isBzImage(new Uint8Array(4096)));
  assertFalse(isBzImage(new TextEncoder().encode("\x7fELF".padEnd(4096))));
});
