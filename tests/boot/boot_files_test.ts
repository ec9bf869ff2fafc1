import { assertEquals, assertRejects } from "@std/assert";
import { type BootFilesOptions, findBootFiles } from "../../src/boot/boot_files.ts";
import { kernelRelease } from "../../src/boot/kernel_release.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { VireoError } from "../../src/base/errors.ts";
import { LOADED_MODULES } from "../../src/boot/initramfs.ts";
import { requirement } from "../support/require.ts";
import { elfImage } from "./elf_image.ts";
import { fakeModule } from "./fake_module.ts";
import { gzip, packedKernel } from "./packed_kernel.ts";

// A library that is first opened inside a test counts as that test's leak.
if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") openAllGroups();

/** A bzImage's head that tells its release. */
function bzImage(release: string): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(2048);
  new DataView(head.buffer).setUint16(0x20e, 0x300, true);
  head.set(new TextEncoder().encode(`${release} (builder@example) #1 SMP\0`), 0x500);
  return head;
}

/** One that holds a kernel packed with gzip besides. */
async function packedImage(release: string): Promise<Uint8Array<ArrayBuffer>> {
  const image = packedKernel(await gzip(elfImage()));
  new DataView(image.buffer).setUint16(0x20e, 0x300, true);
  image.set(new TextEncoder().encode(`${release} (builder@example) #1 SMP\0`), 0x500);
  return image;
}

async function writeTree(root: string, release: string): Promise<void> {
  const modules = `${root}/lib/modules/${release}/kernel`;
  await Deno.mkdir(`${root}/boot`, { recursive: true });
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await Deno.mkdir(modules, { recursive: true });
  await Deno.writeFile(`${root}/boot/vmlinuz-${release}`, bzImage(release));
  for (const name of LOADED_MODULES) {
    await Deno.writeFile(`${modules}/${name}.ko`, fakeModule(["depends="]));
  }
  const applets =
    "bin/sh bin/mount sbin/modprobe sbin/acpid bin/setsid bin/poweroff bin/reboot bin/sync";
  await Deno.writeTextFile(`${root}/bin/busybox`, `#!/bin/sh\nprintf '%s\\n' ${applets}\n`, {
    mode: 0o755,
  });
}

/** Options in which nothing can be fetched, over an empty host, and a folder for files. */
async function withNothing(
  use: (options: BootFilesOptions, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const fetch = () => Promise.reject(new VireoError("environment", "There is no network"));
  try {
    await Deno.mkdir(`${folder}/host`);
    await use({ cache: `${folder}/cache`, host: `${folder}/host`, fetch }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("findBootFiles() takes a kernel and an initrd that are both given as they are", async () => {
  await withNothing(async (options) => {
    assertEquals(await findBootFiles({ ...options, kernel: "k", initrd: "i" }), {
      kernel: "k",
      initrd: "i",
      ownInit: false,
    });
  });
});

Deno.test("findBootFiles() uses fetched packages", async () => {
  await withNothing(async (options, folder) => {
    await writeTree(`${folder}/unpacked`, "6.1-test");
    const fetched = { name: "x", version: "1", root: `${folder}/unpacked` };
    const files = await findBootFiles({
      ...options,
      fetch: ([name = ""]) => Promise.resolve(new Map([[name, fetched]])),
    });
    assertEquals(files.kernel, `${folder}/unpacked/boot/vmlinuz-6.1-test`);
    assertEquals(files.ownInit, true);
    assertEquals(files.initrd.startsWith(`${folder}/cache/initramfs/`), true);
  });
});

Deno.test(
  "findBootFiles() unpacks a newer kernel and removes the old one, once no boot holds it",
  requirement("ffi", "gzip"),
  async () => {
    await withNothing(async (options, folder) => {
      const bootOf = async (name: string, holding: DisposableStack) => {
        const root = `${folder}/cache/packages/${name}`;
        await writeTree(root, "6.1-test");
        await Deno.writeFile(`${root}/boot/vmlinuz-6.1-test`, await packedImage("6.1-test"));
        const fetched = { name, version: "1", root };
        const fetch = ([asked = ""]: readonly string[]) =>
          Promise.resolve(new Map([[asked, fetched]]));
        return (await findBootFiles({ ...options, fetch, holding })).kernel;
      };
      using older = new DisposableStack();
      using newer = new DisposableStack();
      const old = await bootOf("old", older);
      assertEquals(old.startsWith(`${folder}/cache/vmlinux/`), true, old);
      await Deno.remove(`${folder}/cache/packages/old`, { recursive: true });
      await bootOf("new", newer);
      assertEquals((await Deno.stat(old)).isFile, true);
      older.dispose();
      await bootOf("newest", newer);
      await assertRejects(() => Deno.stat(old), Deno.errors.NotFound);
      const left = await Array.fromAsync(Deno.readDir(`${folder}/cache/vmlinux`));
      assertEquals(left.length, 3);
    });
  },
);

Deno.test("findBootFiles() finds the modules of a given kernel beside it", async () => {
  await withNothing(async (options, folder) => {
    await writeTree(`${folder}/unpacked`, "6.1-test");
    const fetched = { name: "x", version: "1", root: `${folder}/unpacked` };
    const fetch = ([name = ""]: readonly string[]) => Promise.resolve(new Map([[name, fetched]]));
    const kernel = `${folder}/unpacked/boot/vmlinuz-6.1-test`;
    const files = await findBootFiles({ ...options, kernel, fetch });
    const archive = new TextDecoder().decode(await Deno.readFile(files.initrd));
    assertEquals(archive.includes("lib/modules/6.1-test/virtio_mmio.ko"), true);
  });
});

Deno.test("findBootFiles() says what to pass where nothing can be fetched", async () => {
  await withNothing(async (options, folder) => {
    await assertRejects(
      () => findBootFiles(options),
      VireoError,
      "Cannot find a kernel to boot: There is no network; or pass one with --kernel PATH",
    );
    await writeTree(folder, "6.1-test");
    await assertRejects(
      () => findBootFiles({ ...options, kernel: `${folder}/boot/vmlinuz-6.1-test` }),
      VireoError,
      "Cannot find a static busybox to boot: There is no network; or install the package busybox-static",
    );
  });
});

Deno.test("findBootFiles() falls back on the host's own kernel and modules", async () => {
  await withNothing(async (options, folder) => {
    await writeTree(`${folder}/host`, Deno.osRelease());
    const kernel = `${folder}/host/boot/vmlinuz-${Deno.osRelease()}`;
    const initrd = `${folder}/mine.cpio`;
    assertEquals((await findBootFiles({ ...options, initrd })).kernel, kernel);
    // Its busybox is a script, and no interpreter for it is in a guest.
    await assertRejects(() => findBootFiles(options), VireoError, "Cannot find a static busybox");
  });
});

Deno.test("findBootFiles() names a kernel that cannot be read", async () => {
  await withNothing(async (options) => {
    await assertRejects(
      () => findBootFiles({ ...options, kernel: "/nonexistent/vmlinuz" }),
      VireoError,
      'Cannot read kernel "/nonexistent/vmlinuz"',
    );
  });
});

Deno.test("kernelRelease() reads a bzImage's release and takes nothing else for one", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bzImage("6.1.0-9-cloud-amd64"));
    assertEquals(await kernelRelease(path), "6.1.0-9-cloud-amd64");
    await Deno.writeFile(path, new Uint8Array(2048));
    assertEquals(await kernelRelease(path), undefined);
    await Deno.writeFile(path, new Uint8Array(3));
    assertEquals(await kernelRelease(path), undefined);
    await Deno.writeFile(path, bzImage("../../etc"));
    assertEquals(await kernelRelease(path), undefined);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("kernelRelease() finds an ELF kernel's banner, packed with gzip or not", async () => {
  const path = await Deno.makeTempFile();
  try {
    const kernel = new Uint8Array(3_000_000);
    kernel.set([0x7f, 0x45, 0x4c, 0x46]);
    const banner = "Linux version %s (%s)\0Linux version 6.12.9+deb13-amd64 (builder@debian.org)";
    // Across two of the chunks that files are read in.
    kernel.set(new TextEncoder().encode(banner), 2 ** 20 - 60);
    await Deno.writeFile(path, kernel);
    assertEquals(await kernelRelease(path), "6.12.9+deb13-amd64");
    const packed = new Blob([kernel]).stream().pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(path, packed);
    assertEquals(await kernelRelease(path), "6.12.9+deb13-amd64");
  } finally {
    await Deno.remove(path);
  }
});
