/** `vireo kernel unpack`, and the cache that it shares its work with. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { cachedVmlinux } from "../../src/boot/vmlinux_cache.ts";
import { unpackKernel } from "../../src/boot/vmlinux.ts";
import { kernel, kernelHelp, unpackedName } from "../../src/cli/kernel.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { elfImage } from "../boot/elf_image.ts";
import { packedKernel } from "../boot/packed_kernel.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("ffi", "gzip");
if (!NEEDS.ignore) openAllGroups();

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Runs `work` in a folder with `vmlinuz-1`, which holds a gzip'd ELF kernel. */
async function withKernel(work: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-unpack-" });
  try {
    const path = `${folder}/vmlinuz-1`;
    await Deno.writeFile(path, packedKernel(await gzip(elfImage())));
    await work(path, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(
  "vireo kernel unpack writes the kernel inside a bzImage, and over no file",
  NEEDS,
  async () => {
    await withKernel(async (path, folder) => {
      const out = `${folder}/vmlinux`;
      assertEquals(await kernel(["unpack", path, out]), 0);
      assertEquals(await Deno.readFile(out), elfImage());
      await Deno.writeTextFile(out, "mine");
      assertEquals(await kernel(["unpack", path, out]), 2);
      assertEquals(await Deno.readTextFile(out), "mine");
      assertEquals(await kernel(["unpack", path, `${folder}/none/vmlinux`]), 2);
    });
  },
);

Deno.test("vireo kernel unpack takes gzip off a bzImage and off an ELF kernel", NEEDS, async () => {
  await withKernel(async (path, folder) => {
    await Deno.writeFile(`${folder}/a.gz`, await gzip(await Deno.readFile(path)));
    assertEquals(await unpackKernel(`${folder}/a.gz`), elfImage());
    await Deno.writeFile(`${folder}/b.gz`, await gzip(elfImage()));
    assertEquals(await unpackKernel(`${folder}/b.gz`), elfImage());
    await Deno.writeFile(`${folder}/c`, elfImage());
    await assertRejects(() => unpackKernel(`${folder}/c`), VireoError, "which is not packed");
  });
});

Deno.test("unpackKernel() stops a payload that unpacks to more than it says", NEEDS, async () => {
  await withKernel(async (path) => {
    const bomb = await gzip(new Uint8Array(64 * 2 ** 20));
    new DataView(bomb.buffer).setUint32(bomb.length - 4, 1000, true);
    await Deno.writeFile(path, packedKernel(bomb));
    const error = await assertRejects(() => unpackKernel(path), VireoError);
    assertMatch(error.message, /gzip gave \d{4,7} of 1000 bytes/);
    new DataView(bomb.buffer).setUint32(bomb.length - 4, 0xffffffff, true);
    await Deno.writeFile(path, packedKernel(bomb));
    await assertRejects(() => unpackKernel(path), VireoError, "would unpack to 4294967295 bytes");
  });
});

Deno.test("cachedVmlinux() unpacks a kernel once, and a changed one anew", NEEDS, async () => {
  await withKernel(async (path, folder) => {
    const first = await cachedVmlinux(path, folder);
    assertEquals(await Deno.readFile(first), elfImage());
    const { mtime, ino } = await Deno.stat(first);
    assertEquals(await cachedVmlinux(path, folder), first);
    const again = await Deno.stat(first);
    assertEquals([again.mtime, again.ino], [mtime, ino]);
    const other = elfImage({ entry: 0x1000104 });
    await Deno.writeFile(path, packedKernel(await gzip(other)));
    await Deno.utime(path, 1, 1);
    assertEquals(await Deno.readFile(await cachedVmlinux(path, folder)), other);
  });
});

Deno.test("unpackedName() says vmlinux for vmlinuz, in this folder", () => {
  assertEquals(unpackedName("/boot/vmlinuz-6.1.0"), "vmlinux-6.1.0");
  assertEquals(unpackedName("bzImage.gz"), "bzImage.vmlinux");
});

Deno.test("vireo kernel refuses what it does not do", async () => {
  for (const args of [[], ["pack"], ["unpack"], ["unpack", "a", "b", "c"], ["unpack", "a", "-x"]]) {
    assertEquals(await kernel(args), 2, args.join(" "));
  }
  assertMatch(kernelHelp(), /vireo kernel unpack KERNEL \[OUT\]/);
});
