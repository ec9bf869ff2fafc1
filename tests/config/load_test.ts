/** A description read from a file, with what the command line changes in it. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { loadDescription, parseOverride } from "../../src/config/load.ts";
import { mistakeText } from "../../src/config/mistake.ts";
import { requirement } from "../support/require.ts";

/** Runs `work` with the path of a file of this content. */
function withFile<T>(content: string | Uint8Array, work: (path: string) => T): T {
  const folder = Deno.makeTempDirSync({ prefix: "vireo-config-" });
  try {
    const path = `${folder}/vm.toml`;
    Deno.writeFileSync(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    return work(path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Mistakes with the file's folder taken out. */
function mistakesOf(content: string, ...sets: string[]): string[] {
  return withFile(content, (file) => {
    const overrides = sets.map((set) => parseOverride(set, "--set"));
    return loadDescription({ file, overrides }).mistakes
      .map((mistake) => mistakeText(mistake).replaceAll(file, "vm.toml"));
  });
}

const GOOD = '[kernel]\npath = "vmlinuz"\n';

Deno.test("loadDescription() takes paths relative to the file", requirement("ffi"), () => {
  withFile(`${GOOD}initrd = "/abs"\n[[disk]]\npath = "../a.img"\n`, (file) => {
    const { description } = loadDescription({ file });
    const folder = file.replace("/vm.toml", "");
    assertEquals(description?.kernel.path, `${folder}/vmlinuz`);
    assertEquals(description?.kernel.initrd, "/abs");
    assertEquals(description?.disk[0]?.path, folder.replace(/[^/]*$/, "a.img"));
  });
});

Deno.test(
  "loadDescription() takes paths of the command line relative to the working directory",
  requirement("ffi"),
  () => {
    withFile(GOOD, (file) => {
      const overrides = [parseOverride("kernel.initrd=i", "--set")];
      const { description } = loadDescription({ file, overrides });
      assertEquals(description?.kernel.initrd, `${Deno.cwd()}/i`);
    });
  },
);

Deno.test("loadDescription() takes a byte order mark and CRLF", requirement("ffi"), () => {
  withFile(`\ufeff${GOOD.replaceAll("\n", "\r\n")}`, (file) => {
    assertEquals(loadDescription({ file }).mistakes, []);
  });
});

Deno.test(
  "loadDescription() names every mistake in one go, each with its line",
  requirement("ffi"),
  () => {
    const text =
      `nmae = "x"\n[memory]\nsize = "1 GiBB"\nlock = 1\n\n[[disk]]\npath = ""\n[[disk]]\n`;
    assertEquals(mistakesOf(text).map((line) => line.split(": ", 3).join(": ")), [
      "vm.toml:1: nmae: There is no such key; allowed",
      "vm.toml:3: memory.size: It is no size",
      "vm.toml:4: memory.lock: It is a whole number and should be true or false (it is 1); allowed",
      'vm.toml:7: disk[0].path: The path is empty (it is ""); allowed',
      "vm.toml:8: disk[1]: Neither path nor size is given; allowed",
      "vm.toml: kernel.path: It is missing; allowed",
    ]);
  },
);

Deno.test("loadDescription() lets the command line override the file", requirement("ffi"), () => {
  withFile(`${GOOD}[memory]\nsize = "1G"\n[[disk]]\nsize = "1M"\n`, (file) => {
    const sets = ["memory.size=64M", "disk[0].readonly=true", "disk[1].size=2M", "cpu.count=2"];
    sets.push("cpu.features=-avx2, -fma", "name=a=b".replace("=b", "b"));
    const overrides = sets.map((set) => parseOverride(set, "--set"));
    const { description } = loadDescription({ file, overrides });
    assertEquals(description?.memory.size, 64 * 2 ** 20);
    assertEquals(description?.disk.map(({ size, readonly }) => [size, readonly]), [
      [2 ** 20, true],
      [2 ** 21, false],
    ]);
    assertEquals([description?.cpu.count, description?.cpu.features], [2, ["-avx2", "-fma"]]);
  });
});

Deno.test("loadDescription() lets the command line take keys away", requirement("ffi"), () => {
  withFile(`${GOOD}[[disk]]\nsize = "1M"\n`, (file) => {
    const { description } = loadDescription({
      file,
      overrides: [{ key: "disk", place: "--disk" }],
    });
    assertEquals(description?.disk, []);
  });
});

Deno.test("loadDescription() names the option of a mistake", requirement("ffi"), () => {
  const [mistake] = mistakesOf(GOOD, "memory.size=1");
  assertEquals(mistakesOf(GOOD, "memory.size=0")[0]?.startsWith("--set: memory.size: It is"), true);
  assertEquals(mistake, undefined);
  assert(mistakesOf(GOOD, "memory.sise=1G")[0]?.startsWith("--set: memory.sise: There is no such"));
  assert(mistakesOf(GOOD, "cpu.count=many")[0]?.startsWith("--set: cpu.count: It is a text"));
});

Deno.test("loadDescription() refuses overrides of what is no key", requirement("ffi"), () => {
  const refuse = (set: string, message: string) =>
    assertThrows(() => mistakesOf(`${GOOD}[[disk]]\nsize = "1M"\n`, set), ConfigError, message);
  refuse("disk.path=x", "--set disk.path: There is no such key");
  refuse("kernel.path.x=1", "--set kernel.path.x: There is no such key");
  refuse("disk[7].path=x", "--set disk[7].path: There are 1 of them; the next is [1]");
  refuse("[0]=x", "--set [0]: There is no such key");
  refuse(".=x", "--set .: There is no such key");
  refuse("=x", '--set: "=x" sets nothing; write KEY=VALUE');
  refuse("memory.size", '--set: "memory.size" sets nothing');
});

Deno.test("loadDescription() refuses what is no file of text", requirement("ffi"), () => {
  const refuse = (content: string | Uint8Array, message: string) =>
    withFile(
      content,
      (file) => assertThrows(() => loadDescription({ file }), ConfigError, message),
    );
  refuse(Uint8Array.of(97, 61, 49, 10, 35, 0xff, 10), "vm.toml:2: This is no UTF-8");
  refuse("# 10 MiB\n".repeat(1_200_000), "vm.toml: It is larger than 1 MiB");
  refuse("a = [".repeat(10_000), "vm.toml:1:");
  const missing = (file: string, message: string) =>
    assertThrows(() => loadDescription({ file }), ConfigError, message);
  missing("/nonexistent/vm.toml", "/nonexistent/vm.toml: Cannot read it: No such file");
  missing("/tmp", "/tmp: It is a folder; name a file");
  missing("", "CONFIG.toml: The path is empty or holds NUL");
  missing("a\0b", "CONFIG.toml: The path is empty or holds NUL");
});
