import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { isGzip, unzipKernel } from "../../src/boot/gzip_kernel.ts";
import { KernelError } from "../../src/boot/kernel_error.ts";
import { MemoryFile } from "../../src/boot/kernel_file.ts";
import { parseKernel } from "../../src/boot/kernel_image.ts";
import { elfImage } from "./elf_image.ts";
import { kernelImage } from "./kernel_image.ts";
import { gzip } from "./packed_kernel.ts";

function file(bytes: Uint8Array<ArrayBuffer>): MemoryFile {
  return new MemoryFile("k", bytes);
}

Deno.test("parseKernel() tells kernels apart by their first bytes", () => {
  assertEquals(parseKernel(file(kernelImage().slice())).kind, "bzimage");
  assertEquals(parseKernel(file(elfImage())).kind, "elf");
});

const ascii = (text: string) => new TextEncoder().encode(text.padEnd(2048, "\0"));
const OTHERS: readonly (readonly [string, Uint8Array<ArrayBuffer>, string])[] = [
  ["nothing", new Uint8Array(), "it is empty"],
  [
    "zeros",
    new Uint8Array(4096),
    "it is no kernel: neither a bzImage (it has no Linux boot header",
  ],
  ["an EFI program", ascii("MZ"), "it is an EFI program"],
  ["an initrd", ascii("070701"), "it is a cpio archive, perhaps the initrd"],
  ["a package", ascii("!<arch>\ndebian-binary"), "it is a Debian package"],
  ["a script", ascii("#!/bin/sh"), "it is a script"],
  [
    "what xz packed",
    Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0),
    "it is packed with xz; unpack it",
  ],
];

for (const [name, bytes, message] of OTHERS) {
  Deno.test(`parseKernel() says that ${name} is no kernel`, () => {
    assertThrows(() => parseKernel(file(bytes)), KernelError, `Cannot load kernel "k": ${message}`);
  });
}

Deno.test("unzipKernel() unpacks what gzip packed", async () => {
  const packed = file(await gzip(elfImage()));
  assertEquals(isGzip(packed), true);
  assertEquals((await unzipKernel(packed)).bytes, elfImage());
  assertEquals(isGzip(file(elfImage())), false);
});

Deno.test("unzipKernel() stops where a small file unpacks to more than there is room for", async () => {
  const bomb = file(await gzip(new Uint8Array(64 * 2 ** 20)));
  await assertRejects(
    () => unzipKernel(bomb, 2 ** 20),
    KernelError,
    'Cannot load kernel "k": it unpacks to more than 1048576 bytes; give the machine more memory',
  );
});

Deno.test("unzipKernel() refuses data that are cut, or damaged", async () => {
  const packed = await gzip(elfImage());
  const damaged = packed.slice();
  damaged[packed.length - 8]! ^= 1;
  for (const bytes of [packed.slice(0, -1), packed.slice(0, 40), damaged]) {
    await assertRejects(() => unzipKernel(file(bytes)), KernelError, "its gzip data are damaged");
  }
});
