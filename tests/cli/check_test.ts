/** `vireo check`: what it prints and what it refuses, without any KVM. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { checkHelp, checkMachine, machineText } from "../../src/cli/check.ts";
import { MACHINE_OPTIONS, splitFile } from "../../src/config/machine_options.ts";
import { parseOptions } from "../../src/config/options.ts";
import { mistakeText } from "../../src/config/mistake.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { kernelImage } from "../boot/kernel_image.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const GOLDEN = new URL("../golden/config/machine.txt", import.meta.url);

/** Runs `work` in a folder with a kernel, a disk and `vm.toml`. */
function inFolder(toml: string, work: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "vireo-check-" });
  try {
    Deno.writeFileSync(`${folder}/vmlinuz`, kernelImage({ kernelSize: 4096 }));
    Deno.writeFileSync(`${folder}/a.img`, new Uint8Array(4096));
    Deno.writeTextFileSync(`${folder}/vm.toml`, toml);
    work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** What `vireo check vm.toml ARGS` finds, with the folder taken out. */
function mistakesOf(folder: string, ...args: string[]): string[] {
  const options = parseOptions(MACHINE_OPTIONS, args);
  const { mistakes } = checkMachine(`${folder}/vm.toml`, options);
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
  () => {
    inFolder(MACHINE, (folder) => {
      const options = parseOptions(MACHINE_OPTIONS, []);
      const { machine, mistakes } = checkMachine(`${folder}/vm.toml`, options);
      assertEquals(mistakes, []);
      assert(machine !== undefined);
      const text = machineText(machine).replaceAll(folder, "/folder");
      if (Deno.env.get("UPDATE_GOLDEN") === "1") Deno.writeTextFileSync(GOLDEN, text);
      assertEquals(text, Deno.readTextFileSync(GOLDEN));
    });
  },
);

Deno.test(
  "vireo check gives two devices neither one address nor one interrupt",
  requirement("ffi"),
  () => {
    inFolder(MACHINE, (folder) => {
      const { machine } = checkMachine(`${folder}/vm.toml`, parseOptions(MACHINE_OPTIONS, []));
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
  () => {
    inFolder(`${MACHINE}[log]\nfile = "none/log"\n`, (folder) => {
      Deno.writeTextFileSync(`${folder}/vmlinuz`, "no kernel");
      Deno.truncateSync(`${folder}/a.img`, 513);
      const starts = mistakesOf(folder, "--initrd", "/nonexistent").map((text) =>
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

Deno.test("vireo check changes and keeps no file", requirement("ffi"), () => {
  const keys = '[memory]\npath = "ram"\n[console]\nbackend = "file"\npath = "out"\n';
  inFolder(`[kernel]\npath = "vmlinuz"\n${keys}`, (folder) => {
    Deno.writeTextFileSync(`${folder}/out`, "kept");
    assertEquals(mistakesOf(folder), []);
    assertEquals(Deno.readTextFileSync(`${folder}/out`), "kept");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).toSorted(), [
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
  () => {
    const keys =
      '[console]\nbackend = "unix"\npath = "con"\n[serial]\nbackend = "unix"\npath = "no/ser"\n';
    inFolder(`[kernel]\npath = "vmlinuz"\n${keys}`, (folder) => {
      assertMatch(mistakesOf(folder).join("\n"), /^vm\.toml:8: serial\.path: [^\n]*$/);
      Deno.writeTextFileSync(`${folder}/con`, "");
      assertMatch(
        mistakesOf(folder)[0] ?? "",
        /^vm\.toml:5: console\.path: .*con" is there and no socket/,
      );
    });
  },
);

Deno.test(
  "vireo check says when there are more devices than interrupts",
  requirement("ffi"),
  () => {
    inFolder('[kernel]\npath = "vmlinuz"\n' + '[[disk]]\nsize = "1M"\n'.repeat(17), (folder) => {
      const [mistake, ...more] = mistakesOf(folder);
      assertEquals(more, []);
      assert(mistake?.startsWith("vm.toml:35: disk[16]: All 17 interrupt pins"), mistake);
    });
  },
);

Deno.test("vireo check takes flags over a file, and flags alone", requirement("ffi"), () => {
  inFolder(MACHINE, (folder) => {
    const flags = ["--cpus", "3", "--memory", "256", "--disk", `${folder}/a.img,serial=x,readonly`];
    const args = [...flags, "--console", "none", "--cmdline", "quiet", "--set", "name=other"];
    const { machine } = checkMachine(`${folder}/vm.toml`, parseOptions(MACHINE_OPTIONS, args));
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
    assertEquals(checkMachine(undefined, alone).machine?.memory.size, 64 * 2 ** 20);
  });
});

Deno.test(
  "vireo check refuses numbers of vCPUs and sizes in options as in a file (rows 0.2, 3.25)",
  requirement("ffi"),
  () => {
    inFolder(MACHINE, (folder) => {
      for (const count of ["0", "256", "abc", "-1", "1.5", ""]) {
        const [text] = mistakesOf(folder, "--cpus", count);
        assert(text?.startsWith("--cpus: cpu.count: It is"), text);
      }
      for (const size of ["0", "x", "1e3", "2T", "1025K"]) {
        const [text] = mistakesOf(folder, "--memory", size);
        assert(text?.startsWith("--memory: memory.size: It is"), text);
      }
      const [text] = mistakesOf(folder, "--disk", "");
      assert(text?.startsWith("--disk: disk[0].path: The path is empty"), text);
    });
  },
);

Deno.test("vireo check names the place where a file stops being TOML", requirement("ffi"), () => {
  inFolder("a = 1\nb = \n", (folder) => {
    const { mistakes } = checkMachine(`${folder}/vm.toml`, parseOptions(MACHINE_OPTIONS, []));
    assertEquals(mistakes.map(({ line, problem }) => [line, problem]), [
      [2, "A value is expected here, not the line's end"],
    ]);
  });
});

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
