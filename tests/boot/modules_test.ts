import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  hasModule,
  parseModinfo,
  readModulesFolder,
  resolveModules,
} from "../../src/boot/modules.ts";
import { VireoError } from "../../src/base/errors.ts";
import type { RunCommand } from "../../src/boot/run_command.ts";
import { fakeModule } from "./fake_module.ts";

async function withModules(
  files: Readonly<Record<string, readonly string[]>>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [path, fields] of Object.entries(files)) {
      const file = `${folder}/kernel/${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeFile(file, fakeModule(fields));
    }
    await Deno.writeTextFile(`${folder}/modules.builtin`, "kernel/fs/ext4/ext4.ko\n");
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const VIRTIO = {
  "drivers/virtio/virtio.ko": ["depends=virtio_ring"],
  "drivers/virtio/virtio_ring.ko": ["depends="],
  "drivers/virtio/virtio_mmio.ko": ["alias=acpi*:LNRO0005:*", "depends=virtio,virtio_ring"],
  "drivers/char/hw_random/virtio-rng.ko": ["depends=virtio", "softdep=pre: entropy post: late"],
  "lib/entropy.ko": ["depends="],
  "lib/late.ko": ["depends="],
};

Deno.test("resolveModules() puts each module after what it needs, once", async () => {
  await withModules(VIRTIO, async (path) => {
    const folder = await readModulesFolder(path);
    const modules = await resolveModules(folder, ["virtio_mmio", "virtio-rng", "virtio_mmio"]);
    assertEquals(modules.map(({ name }) => name), [
      "virtio_ring",
      "virtio",
      "virtio_mmio",
      "entropy",
      "virtio_rng",
      "late",
    ]);
    assertEquals(modules[2]?.aliases, ["acpi*:LNRO0005:*"]);
    assertEquals(modules[4]?.depends, ["virtio", "entropy"]);
  });
});

Deno.test("resolveModules() leaves out what is built in or not there, and ends on a circle", async () => {
  await withModules({ "a.ko": ["depends=b,ext4"], "b.ko": ["depends=a"] }, async (path) => {
    const folder = await readModulesFolder(path);
    const modules = await resolveModules(folder, ["ext4", "nothing", "a"]);
    assertEquals(modules.map(({ name }) => name), ["b", "a"]);
    assertEquals(
      ["ext4", "a", "nothing"].map((name) => hasModule(folder, name)),
      [true, true, false],
    );
  });
});

Deno.test("resolveModules() unpacks compressed modules", async () => {
  await withModules({ "a.ko.xz": ["depends="] }, async (path) => {
    const run: RunCommand = (command, args, options) => {
      assertEquals([command, ...args], ["xz", "-dc"]);
      return Promise.resolve({
        status: 0,
        stdout: options?.input?.slice() ?? new Uint8Array(),
        stderr: "",
      });
    };
    const [module] = await resolveModules(await readModulesFolder(path), ["a"], run);
    assertEquals(module?.data, fakeModule(["depends="]));
    const fail: RunCommand = () =>
      Promise.resolve({ status: 1, stdout: new Uint8Array(), stderr: "corrupt" });
    const folder = await readModulesFolder(path);
    await assertRejects(() => resolveModules(folder, ["a"], fail), VireoError, "xz: corrupt");
  });
});

Deno.test("parseModinfo() refuses damaged modules by name", () => {
  const good = fakeModule(["depends=a"]);
  const refuse = (data: Uint8Array, why: string) =>
    assertThrows(() => parseModinfo(data, "x.ko"), VireoError, `"x.ko": ${why}`);
  refuse(new Uint8Array(10), "it is no ELF file");
  refuse(good.slice(0, -1), "its section table reaches past its end");
  const names = good.slice();
  names[62] = 9;
  refuse(names, "it has no section 9");
  const nameless = good.slice();
  nameless[62] = 1;
  refuse(nameless, "it has no .modinfo section");
  const long = good.slice();
  const table = new DataView(long.buffer).getUint32(40, true);
  long[table + 64 + 34] = 0xff;
  refuse(long, "a section reaches past its end");
});
