import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  baseInitramfs,
  buildBase,
  type InitramfsSource,
  LOADED_MODULES,
  taskInitramfs,
} from "../../src/boot/initramfs.ts";
import { VireoError } from "../../src/base/errors.ts";
import { readCpio } from "./cpio_reader.ts";
import { fakeModule } from "./fake_module.ts";

const APPLETS = "bin/busybox bin/sh bin/mount sbin/modprobe sbin/acpid usr/bin/setsid " +
  "sbin/poweroff sbin/reboot bin/sync usr/bin/[";

/** A folder with a program that lists applets as busybox does, and a modules folder. */
async function withSource(
  use: (source: InitramfsSource & { readonly modules: string }, folder: string) => Promise<void>,
  applets = APPLETS,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const busybox = `${folder}/busybox`;
    await Deno.writeTextFile(
      busybox,
      `#!/bin/sh\nprintf '%s\\n' ${applets.replace("[", "'['")}\n`,
      {
        mode: 0o755,
      },
    );
    const modules = `${folder}/6.1`;
    await Deno.mkdir(`${modules}/kernel`, { recursive: true });
    for (const name of LOADED_MODULES) {
      const needs = name === "virtio_blk" ? "virtio_mmio" : "";
      const file = fakeModule([`depends=${needs}`, `alias=acpi:${name}`]);
      await Deno.writeFile(`${modules}/kernel/${name}.ko`, file);
    }
    await use({ busybox, release: "6.1", modules }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Texts and link targets by path. */
async function contents(archive: Uint8Array): Promise<Map<string, string>> {
  const entries = readCpio(archive);
  await Promise.resolve();
  return new Map(entries.map(({ path, data }) => [path, new TextDecoder().decode(data)]));
}

Deno.test("buildBase() makes a tree that Linux can unpack: parents first, no path twice", async () => {
  await withSource(async (source) => {
    const entries = readCpio(await buildBase(source));
    const seen = new Set([""]);
    for (const { path } of entries) {
      assert(seen.has(path.slice(0, Math.max(0, path.lastIndexOf("/")))), `${path} has no parent`);
      assert(!seen.has(path), `${path} is there twice`);
      seen.add(path);
    }
  });
});

Deno.test("buildBase() holds what a kernel needs to start init and init to work", async () => {
  await withSource(async (source) => {
    const archive = await buildBase(source);
    const modes = new Map(readCpio(archive).map(({ path, mode }) => [path, mode.toString(8)]));
    assertEquals(
      ["init", "bin/busybox", "dev/console", "tmp", "root", "etc/acpi/PWRF/00000080"]
        .map((path) => modes.get(path)),
      ["100755", "100755", "20600", "41777", "40700", "100755"],
    );
    const files = await contents(archive);
    assertEquals(files.get("usr/bin/["), "/bin/busybox");
    assertEquals(files.get("etc/modules"), `${LOADED_MODULES.join(" ")}\n`);
    assertEquals(
      files.get("lib/modules/6.1/modules.dep")?.split("\n").slice(1, 4),
      ["virtio_mmio.ko:", "virtio_console.ko:", "virtio_blk.ko: virtio_mmio.ko"],
    );
    assert(files.get("lib/modules/6.1/modules.alias")?.includes("alias acpi:evdev evdev\n"));
  });
});

Deno.test("buildBase() unpacks modules with busybox' own xz", async () => {
  await withSource(async (source) => {
    const packed = `${source.modules}/kernel/evdev.ko.xz`;
    await Deno.rename(`${source.modules}/kernel/evdev.ko`, packed);
    const list = await Deno.readTextFile(source.busybox);
    const unpack = `#!/bin/sh\n[ "$1" = xz ] && exec cat\n`;
    await Deno.writeTextFile(source.busybox, list.replace("#!/bin/sh\n", unpack));
    const entries = readCpio(await buildBase(source));
    const found = entries.find(({ path }) => path === "lib/modules/6.1/evdev.ko");
    assertEquals(found?.data, await Deno.readFile(packed));
  });
});

Deno.test("buildBase() loads no modules where the kernel has none", async () => {
  await withSource(async ({ busybox }) => {
    const files = await contents(await buildBase({ busybox, release: "6.1" }));
    assertEquals(files.get("etc/modules"), "\n");
    assertEquals([...files.keys()].filter((path) => path.startsWith("lib/")), []);
  });
});

Deno.test("buildBase() refuses a kernel without virtio and a busybox without an applet", async () => {
  await withSource(async (source) => {
    await Deno.remove(`${source.modules}/kernel/virtio_console.ko`);
    await assertRejects(() => buildBase(source), VireoError, "has no virtio_console; pass another");
  });
  await withSource(async (source) => {
    await assertRejects(
      () => buildBase(source),
      VireoError,
      "it has no acpid; install the package",
    );
  }, APPLETS.replace("sbin/acpid ", ""));
});

Deno.test("baseInitramfs() builds once, and again when what it is made of changes", async () => {
  await withSource(async (source, folder) => {
    const first = await baseInitramfs(source, folder);
    await Deno.writeTextFile(first, "as cached");
    assertEquals(await baseInitramfs(source, folder), first);
    assertEquals(await Deno.readTextFile(first), "as cached");
    await Deno.writeTextFile(source.busybox, await Deno.readTextFile(source.busybox) + "\n");
    const second = await baseInitramfs(source, folder);
    assert(second !== first);
    assert(readCpio(await Deno.readFile(second)).length > 20);
  });
});

Deno.test("taskInitramfs() is small and follows the base at a multiple of four", () => {
  const archive = taskInitramfs({ command: "echo hi" });
  assertEquals(archive.length % 4, 0);
  assert(archive.length < 1000);
  assertEquals(readCpio(archive).map(({ path }) => path), [
    "vireo",
    "vireo/settings",
    "vireo/command",
  ]);
});
