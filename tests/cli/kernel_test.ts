/** `vireo kernel unpack`, and the cache that it shares its work with. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { cachedVmlinux } from "../../src/boot/vmlinux_cache.ts";
import { unpackKernel } from "../../src/boot/vmlinux.ts";
import { kernel, kernelHelp, unpackedName } from "../../src/cli/kernel.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { elfImage } from "../boot/elf_image.ts";
import { gzip, packedKernel } from "../boot/packed_kernel.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("ffi", "gzip");
if (!NEEDS.ignore) openAllGroups();

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

/** Names of the unpacked kernels in a cache. */
function unpacked(cache: string): string[] {
  const names = [...Deno.readDirSync(`${cache}/vmlinux`)].map(({ name }) => name);
  return names.filter((name) => name !== ".lock").sort();
}

/** Puts the kernel into two packages of a cache, one of another release. */
async function withTwoKernels(
  work: (first: string, second: string, cache: string) => Promise<void>,
): Promise<void> {
  await withKernel(async (kernel, cache) => {
    const boots = ["packages/linux-image-1_1", "packages-trixie/linux-image-2_2"]
      .map((name) => `${cache}/${name}/boot`);
    const [first, second] = [`${boots[0]}/vmlinuz-1`, `${boots[1]}/vmlinuz-2`];
    for (const boot of boots) await Deno.mkdir(boot, { recursive: true });
    await Deno.copyFile(kernel, first);
    await Deno.copyFile(kernel, second);
    await work(first, second, cache);
  });
}

Deno.test(
  "cachedVmlinux() keeps a kernel whose file is there when it unpacks another",
  NEEDS,
  async () => {
    await withTwoKernels(async (first, second, folder) => {
      const paths = [await cachedVmlinux(first, folder), await cachedVmlinux(second, folder)];
      assertEquals(unpacked(folder), paths.map((path) => path.split("/").at(-1)).sort());
    });
  },
);

for (const gone of ["removed", "changed"] as const) {
  Deno.test(
    `cachedVmlinux() removes a kernel whose file was ${gone} when it unpacks another`,
    NEEDS,
    async () => {
      await withTwoKernels(async (first, second, folder) => {
        await cachedVmlinux(first, folder);
        await { removed: () => Deno.remove(first), changed: () => Deno.utime(first, 1, 1) }[gone]();
        const kept = await cachedVmlinux(second, folder);
        assertEquals(unpacked(folder), [kept.split("/").at(-1)]);
        assertEquals(await Deno.readFile(kept), elfImage());
      });
    },
  );
}

Deno.test(
  "cachedVmlinux() removes no kernel that another boot holds, until that has ended",
  NEEDS,
  async () => {
    await withTwoKernels(async (first, second, folder) => {
      const boots = [new DisposableStack(), new DisposableStack()];
      const [held] = await Promise.all(boots.map((boot) => cachedVmlinux(first, folder, boot)));
      await Deno.remove(first);
      const kept = await cachedVmlinux(second, folder);
      assertEquals(await Deno.readFile(held ?? ""), elfImage());
      boots[0]?.dispose();
      await Deno.utime(second, 1, 1);
      await cachedVmlinux(second, folder);
      // The second kernel, which changed, is gone; the first boot's end alone lets nothing go.
      assertEquals(unpacked(folder).includes(kept.split("/").at(-1) ?? ""), false);
      assertEquals(unpacked(folder).includes(held?.split("/").at(-1) ?? ""), true);
      boots[1]?.dispose();
      await Deno.utime(second, 2, 2);
      const last = await cachedVmlinux(second, folder);
      assertEquals(unpacked(folder), [last.split("/").at(-1)]);
    });
  },
);

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
