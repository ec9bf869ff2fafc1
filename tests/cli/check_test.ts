/** `vireo check`: what it prints and what it refuses, without any KVM. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { checkHelp, checkMachine, machineText } from "../../src/cli/check.ts";
import { MACHINE_OPTIONS, splitFile } from "../../src/config/machine_options.ts";
import { parseOptions } from "../../src/config/options.ts";
import { mistakeText } from "../../src/config/mistake.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { elfImage } from "../boot/elf_image.ts";
import { kernelImage } from "../boot/kernel_image.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const GOLDEN = new URL("../golden/config/machine.txt", import.meta.url);

/** Runs `work` in a folder with a kernel, a disk and `vm.toml`. */
async function inFolder(
  toml: string,
  work: (folder: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-check-" });
  try {
    await Deno.writeFile(`${folder}/vmlinuz`, kernelImage({ kernelSize: 4096 }));
    await Deno.writeFile(`${folder}/a.img`, new Uint8Array(4096));
    await Deno.writeTextFile(`${folder}/vm.toml`, toml);
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What `vireo check vm.toml ARGS` finds, with the folder taken out. */
async function mistakesOf(folder: string, ...args: string[]): Promise<string[]> {
  const options = parseOptions(MACHINE_OPTIONS, args);
  const { mistakes } = await checkMachine(`${folder}/vm.toml`, options);
  return mistakes.map((mistake) => mistakeText(mistake).replaceAll(`${folder}/`, ""));
}

const MACHINE = `name = "web"
[cpu]
count = 6
sockets = 2
features = ["-avx2"]
[memory]
size = "5G"
[kernel]
path = "vmlinuz"
[[disk]]
path = "a.img"
serial = "root"
[[disk]]
id = "scratch"
size = "64M"
readonly = true
`;

Deno.test(
  "vireo check prints keys, slots, APIC ids, addresses and interrupts",
  requirement("ffi"),
  async () => {
    await inFolder(MACHINE, async (folder) => {
      const options = parseOptions(MACHINE_OPTIONS, []);
      const { machine, mistakes } = await checkMachine(`${folder}/vm.toml`, options);
      assertEquals(mistakes, []);
      assert(machine !== undefined);
      const text = machineText(machine).replaceAll(folder, "/folder");
      if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(GOLDEN, text);
      assertEquals(text, await Deno.readTextFile(GOLDEN));
    });
  },
);

Deno.test(
  "vireo check gives two devices neither one address nor one interrupt",
  requirement("ffi"),
  async () => {
    await inFolder(MACHINE, async (folder) => {
      const { machine } = await checkMachine(
        `${folder}/vm.toml`,
        parseOptions(MACHINE_OPTIONS, []),
      );
      const gsis = machine?.devices.map(({ gsi }) => gsi).filter((gsi) => gsi >= 0) ?? [];
      const bases = machine?.devices.flatMap(({ windows }) => windows.map(({ base }) => base)) ??
        [];
      assertEquals([new Set(gsis).size, new Set(bases).size], [gsis.length, bases.length]);
    });
  },
);

Deno.test(
  "vireo check looks at every named file, each mistake with its line",
  requirement("ffi"),
  async () => {
    await inFolder(`${MACHINE}[log]\nfile = "none/log"\n`, async (folder) => {
      await Deno.writeTextFile(`${folder}/vmlinuz`, "no kernel");
      await Deno.truncate(`${folder}/a.img`, 513);
      const starts = (await mistakesOf(folder, "--initrd", "/nonexistent")).map((text) =>
        text.slice(0, 45)
      );
      assertEquals(starts.toSorted(), [
        "--initrd: kernel.initrd: It cannot be opened:",
        'vm.toml:11: disk[0].path: Cannot use disk "a.',
        "vm.toml:18: log.file: It cannot be opened: EN",
        'vm.toml:9: kernel.path: Cannot load kernel "v',
      ]);
    });
  },
);

Deno.test(
  "vireo check says what of kernel, initrd and command line does not fit, all at once (row 2.7)",
  requirement("ffi"),
  async () => {
    const toml = `[memory]\nsize = "32M"\n[kernel]\npath = "vmlinuz"\ninitrd = "a.img"\n`;
    await inFolder(toml, async (folder) => {
      await Deno.truncate(`${folder}/a.img`, 9 * 2 ** 20);
      assertEquals(await mistakesOf(folder, "--cmdline", "x".repeat(2048)), [
        "vm.toml:5: kernel.initrd: Cannot place an initrd of 9437184 bytes: RAM has room for " +
        "8388608 above the kernel; give the machine more memory or a smaller initrd; allowed: " +
        "an initrd that fits",
        '--cmdline: kernel.cmdline: Cannot load kernel "vmlinuz": its command line has 2048 ' +
        "bytes and it reads at most 2047; make it shorter; allowed: a command line that the " +
        "kernel reads",
      ]);
      const [small] = await mistakesOf(folder, "--memory", "20M");
      assertMatch(small ?? "", /kernel\.path: .*; give the machine at least 24 MiB/);
    });
  },
);

Deno.test(
  "vireo check refuses more vCPUs than an MP table holds for a kernel without ACPI (row 3.17)",
  requirement("ffi"),
  async () => {
    const toml = `[kernel]\npath = "vmlinuz"\ncmdline = "acpi=off"\n[rng]\nsource = "none"\n`;
    await inFolder(toml, async (folder) => {
      assertEquals(await mistakesOf(folder, "--cpus", "254"), []);
      const [mistake = "", ...more] = await mistakesOf(folder, "--cpus", "255");
      assertEquals(more, []);
      assertMatch(mistake, /cpu\.count: The MP table.* cannot hold 255 vCPUs; give at most 254/);
      assertEquals(await mistakesOf(folder, "--cpus", "255", "--cmdline", "quiet"), []);
    });
  },
);

Deno.test("vireo check looks into kernels of every kind", requirement("ffi"), async () => {
  await inFolder(MACHINE, async (folder) => {
    const path = `${folder}/vmlinuz`;
    await Deno.writeFile(path, elfImage());
    assertEquals(await mistakesOf(folder), []);
    const zipped = new Blob([elfImage()]).stream().pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(path, zipped);
    assertEquals(await mistakesOf(folder, "--set", "kernel.entry=pvh"), []);
    await Deno.writeFile(path, elfImage({ size: 0x1000 }));
    assertMatch((await mistakesOf(folder))[0] ?? "", /^vm.toml:9: kernel\.path: .*truncated/);
    await Deno.writeFile(path, kernelImage());
    const [pvh] = await mistakesOf(folder, "--set", "kernel.entry=pvh");
    assertMatch(pvh ?? "", /kernel\.path: .*a bzImage has no PVH entry/);
  });
});

Deno.test("vireo check changes and keeps no file", requirement("ffi"), async () => {
  const keys = '[memory]\npath = "ram"\n[console]\nbackend = "file"\npath = "out"\n';
  await inFolder(`[kernel]\npath = "vmlinuz"\n${keys}`, async (folder) => {
    await Deno.writeTextFile(`${folder}/out`, "kept");
    assertEquals(await mistakesOf(folder), []);
    assertEquals(await Deno.readTextFile(`${folder}/out`), "kept");
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted(), [
      "a.img",
      "out",
      "vm.toml",
      "vmlinuz",
    ]);
  });
});

Deno.test(
  "vireo check says when a socket cannot be made, and makes none",
  requirement("ffi"),
  async () => {
    const keys =
      '[console]\nbackend = "unix"\npath = "con"\n[serial]\nbackend = "unix"\npath = "no/ser"\n';
    await inFolder(`[kernel]\npath = "vmlinuz"\n${keys}`, async (folder) => {
      assertMatch((await mistakesOf(folder)).join("\n"), /^vm\.toml:8: serial\.path: [^\n]*$/);
      await Deno.writeTextFile(`${folder}/con`, "");
      assertMatch(
        (await mistakesOf(folder))[0] ?? "",
        /^vm\.toml:5: console\.path: .*con" is there and no socket/,
      );
    });
  },
);

Deno.test(
  "vireo check says when there are more devices than interrupts",
  requirement("ffi"),
  async () => {
    await inFolder(
      '[kernel]\npath = "vmlinuz"\n' + '[[disk]]\nsize = "1M"\n'.repeat(17),
      async (folder) => {
        const [mistake, ...more] = await mistakesOf(folder);
        assertEquals(more, []);
        assert(mistake?.startsWith("vm.toml:35: disk[16]: All 17 interrupt pins"), mistake);
      },
    );
  },
);

Deno.test("vireo check takes flags over a file, and flags alone", requirement("ffi"), async () => {
  await inFolder(MACHINE, async (folder) => {
    const flags = ["--cpus", "3", "--memory", "256", "--disk", `${folder}/a.img,serial=x,readonly`];
    const args = [...flags, "--console", "none", "--cmdline", "quiet", "--set", "name=other"];
    const { machine } = await checkMachine(
      `${folder}/vm.toml`,
      parseOptions(MACHINE_OPTIONS, args),
    );
    assertEquals(machine?.cpu.count, 3);
    assertEquals(machine?.memory.size, 256 * 2 ** 20);
    assertEquals(machine?.disk, [{
      id: "disk0",
      path: `${folder}/a.img`,
      format: "raw",
      readonly: true,
      serial: "x",
      cache: "writeback",
    }]);
    assertEquals([machine?.name, machine?.console.backend], ["other", "none"]);
    const alone = parseOptions(MACHINE_OPTIONS, [
      "--kernel",
      `${folder}/vmlinuz`,
      "--memory",
      "64M",
    ]);
    assertEquals((await checkMachine(undefined, alone)).machine?.memory.size, 64 * 2 ** 20);
  });
});

Deno.test(
  "vireo check refuses numbers of vCPUs and sizes in options as in a file (rows 0.2, 3.25)",
  requirement("ffi"),
  async () => {
    await inFolder(MACHINE, async (folder) => {
      for (const count of ["0", "256", "abc", "-1", "1.5", ""]) {
        const [text] = await mistakesOf(folder, "--cpus", count);
        assert(text?.startsWith("--cpus: cpu.count: It is"), text);
      }
      for (const size of ["0", "x", "1e3", "2T", "1025K"]) {
        const [text] = await mistakesOf(folder, "--memory", size);
        assert(text?.startsWith("--memory: memory.size: It is"), text);
      }
      const [text] = await mistakesOf(folder, "--disk", "");
      assert(text?.startsWith("--disk: disk[0].path: The path is empty"), text);
    });
  },
);

Deno.test(
  "vireo check names the place where a file stops being TOML",
  requirement("ffi"),
  async () => {
    await inFolder("a = 1\nb = \n", async (folder) => {
      const { mistakes } = await checkMachine(
        `${folder}/vm.toml`,
        parseOptions(MACHINE_OPTIONS, []),
      );
      assertEquals(mistakes.map(({ line, problem }) => [line, problem]), [
        [2, "A value is expected here, not the line's end"],
      ]);
    });
  },
);

Deno.test(
  "vireo check takes a console behind a socket, and no other kind with a path",
  requirement("ffi"),
  async () => {
    await inFolder(MACHINE, async (folder) => {
      const args = ["--console", `unix:${folder}/sock`];
      const options = parseOptions(MACHINE_OPTIONS, args);
      const { machine } = await checkMachine(`${folder}/vm.toml`, options);
      assertEquals(machine?.console, { backend: "unix", path: `${folder}/sock` });
      assertThrows(
        () => parseOptions(MACHINE_OPTIONS, ["--console", "tcp:5555"]),
        ConfigError,
        '"tcp:5555" is none of stdio, none, pty, file:PATH, unix:PATH',
      );
    });
  },
);

Deno.test("splitFile() finds the file among options and their values", () => {
  assertEquals(splitFile(MACHINE_OPTIONS, ["--cpus", "2", "vm.toml", "--memory=1G"]), {
    file: "vm.toml",
    rest: ["--cpus", "2", "--memory=1G"],
  });
  assertEquals(splitFile(MACHINE_OPTIONS, ["--cpus"]), { rest: ["--cpus"] });
});

Deno.test("checkHelp() names every key", () => {
  for (const key of ["memory.size", "disk[].serial", "cpu.features", "--json", "--schema"]) {
    assert(checkHelp().includes(key), key);
  }
});
