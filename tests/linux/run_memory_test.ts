/** What the RAM of `vireo run` is made of, as Linux in it and /proc on the host show it. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hostAddressBits, WIDTH_OF_1_TIB } from "../support/address_width.ts";
import { linuxRequirement } from "../support/linux_guest.ts";
import { skipped } from "../support/require.ts";
import { RunMachine, sections, until } from "./run_machine.ts";

const NEEDS = linuxRequirement();
const ROOT = linuxRequirement("root");
const MIB = 2 ** 20;
const KIB_OF_128_MIB = 128 * 1024;
const MARKER = "a-word-that-only-this-guest-says";
const HUGE_PAGES = "/proc/sys/vm/nr_hugepages";

const CONSOLE = '[console]\nbackend = "file"\npath = "console.log"\n';

/**
 * The smaps entry of the guest's RAM of 128 MiB: the writable mapping of that size. Next to it the kernel may have made one
 * with it of what malloc() took.
 */
function ramOf(pid: number): Readonly<Record<string, string>> {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps`);
  const entries = text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const ram = entries.find((entry) => {
    const [, size = ""] = /^\S+ rw-[^]*^Size: +(\d+) kB$/m.exec(entry) ?? [];
    return Number(size) >= KIB_OF_128_MIB && Number(size) < 2 * KIB_OF_128_MIB;
  });
  assert(ram !== undefined, text);
  const [head = "", ...fields] = ram.split("\n");
  return {
    mode: head.split(" ")[1] ?? "",
    path: head.split(/ +/)[5] ?? "",
    ...Object.fromEntries(fields.map((line) => line.split(/: +/) as [string, string])),
  };
}

function kilobytes(text = ""): number {
  return parseInt(text);
}

/** Runs a guest with these keys of `[memory]` until it is up, and gives how its RAM looks then. */
async function ramWith(keys: string) {
  using machine = await RunMachine.make({
    toml: `[memory]\nsize = "128M"\n${keys}\n${CONSOLE}`,
    script: `echo ${MARKER} > /tmp/word; echo up; sleep 1000`,
  });
  await using running = machine.start();
  await until("the guest is up", () => machine.text("console.log").includes("up"));
  const ram = ramOf(running.pid);
  running.kill("SIGTERM");
  await running.end();
  return ram;
}

Deno.test("run without memory.size gives Linux exactly 1 GiB (row 0.2)", NEEDS, async () => {
  using machine = await RunMachine.make({
    toml: CONSOLE,
    script:
      "say e820; dmesg | grep BIOS-e820; say flags; grep -m1 ^flags /proc/cpuinfo\nsay dmi; ls /sys/class/dmi/id\nsay cpus; cat /sys/devices/system/cpu/possible",
  });
  assertEquals((await machine.run()).code, 0);
  const said = sections(machine.text("console.log"));
  const ranges = [...(said["e820"] ?? "").matchAll(/\[mem 0x(\w+)-0x(\w+)\] usable/g)];
  const sizes = ranges.map(([, start = "", end = ""]) =>
    parseInt(end, 16) + 1 - parseInt(start, 16)
  );
  // The PC's reserved end of the first MiB is RAM as well.
  const reserved = 0x10_0000 - 0x9_fc00;
  assertEquals(sizes.reduce((sum, size) => sum + size, reserved), 2 ** 30);
  assertEquals(said["cpus"], "0");
  // What the other machine hides is there, and a machine without a UUID has none.
  assert(said["flags"]?.split(" ").includes("rdrand"), said["flags"]);
  assert(!said["dmi"]?.includes("product_uuid"), said["dmi"]);
});

const NARROW = NEEDS.ignore ? NEEDS : skipped(
  hostAddressBits() < WIDTH_OF_1_TIB
    ? undefined
    : `guest addresses have ${hostAddressBits()} bits on this host: 1 TiB of RAM fits`,
);

Deno.test(
  "run refuses 1 TiB of RAM where addresses are narrower, with their width (rows 0.6, 4.4)",
  NARROW,
  async () => {
    using machine = await RunMachine.make({
      toml: `[memory]\nsize = "1T"\n${CONSOLE}`,
      script: "true",
    });
    const { code, stderr } = await machine.run();
    assertEquals(code, 2);
    assertStringIncludes(
      new TextDecoder().decode(stderr),
      "memory.size: Cannot make 1099511627776 bytes of RAM: " +
        `guest physical addresses have ${hostAddressBits()} bits on this host, `,
    );
  },
);

Deno.test("run keeps RAM in a file, where the guest's own data lies (row 2.5)", NEEDS, async () => {
  using machine = await RunMachine.make({
    toml: `[memory]\nsize = "128M"\npath = "ram"\n${CONSOLE}`,
    script: `
      read -r word < /proc/sys/kernel/random/uuid
      echo "$word" > /tmp/word
      echo "said $word"
      sleep 1000
    `,
  });
  await using running = machine.start();
  const said = /said (\S+)\r?\n/;
  await until("the guest has a word", () => said.test(machine.text("console.log")));
  const [, word = ""] = said.exec(machine.text("console.log")) ?? [];
  assert(await contains(`${machine.folder}/ram`, new TextEncoder().encode(word)));
  const ram = ramOf(running.pid);
  assertEquals([ram["mode"], ram["path"]], ["rw-s", `${machine.folder}/ram`]);
  assertEquals((await Deno.stat(`${machine.folder}/ram`)).size, 128 * MIB);
  const second = await machine.run();
  assertEquals(second.code, 2);
  assertMatch(
    new TextDecoder().decode(second.stderr),
    /memory\.path: Cannot keep RAM in "\S+": another machine or program uses it; name another/,
  );
  running.kill("SIGTERM");
  await running.end();
});

Deno.test(
  "run shares, preallocates and locks RAM where the file says so (row 2.6)",
  ROOT,
  async () => {
    const plain = await ramWith("");
    assertEquals(plain["mode"], "rw-p");
    assertEquals(plain["Locked"], "0 kB");
    assert(kilobytes(plain["Rss"]) < KIB_OF_128_MIB, plain["Rss"]);
    const all = await ramWith("shared = true\nprealloc = true\nlock = true");
    assertEquals(all["mode"], "rw-s");
    assertEquals([all["Rss"], all["Locked"]], [`${KIB_OF_128_MIB} kB`, `${KIB_OF_128_MIB} kB`]);
  },
);

Deno.test(
  "run makes RAM of huge pages, and says how to get them where there are none (row 2.6)",
  ROOT,
  async () => {
    const before = await Deno.readTextFile(HUGE_PAGES);
    try {
      await Deno.writeTextFile(HUGE_PAGES, "70");
      const ram = await ramWith("hugepages = true");
      assertEquals(ram["KernelPageSize"], "2048 kB");
      await Deno.writeTextFile(HUGE_PAGES, "0");
      using machine = await RunMachine.make({
        toml: `[memory]\nsize = "128M"\nhugepages = true\n${CONSOLE}`,
        script: "true",
      });
      const { code, stderr } = await machine.run();
      assertEquals(code, 2);
      assertMatch(
        new TextDecoder().decode(stderr),
        /memory\.hugepages: .*ENOMEM.*needs 64 free huge pages.*sysctl vm\.nr_hugepages=64/,
      );
    } finally {
      await Deno.writeTextFile(HUGE_PAGES, before);
    }
  },
);

/** Whether a file holds bytes, all of them in one of its pages. */
async function contains(path: string, wanted: Uint8Array): Promise<boolean> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(2 ** 22);
  const text = new TextDecoder("latin1").decode(wanted);
  for (let count; (count = await file.read(bytes)) !== null;) {
    if (new TextDecoder("latin1").decode(bytes.subarray(0, count)).includes(text)) return true;
  }
  return false;
}
