/** What only the host can refuse of a machine's file, each with its key and what to do. */

import { assertEquals, assertMatch } from "@std/assert";
import { writeGuests } from "../support/guest_kernel.ts";
import { runProgram, SOURCE } from "../support/program.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("kvm", "root");
const FOLDER = await Deno.makeTempDir({ prefix: "vireo-refusals-" });
addEventListener("unload", () => Deno.removeSync(FOLDER, { recursive: true }));
writeGuests(FOLDER);

/** Runs `vireo run` of a file with these keys; `before` are commands of sh that end in what runs it. */
async function run(toml: string, before = ""): Promise<{ status: number; stderr: string }> {
  const kernel = `[kernel]\npath = "off.img"\n`;
  const quiet = `[console]\nbackend = "none"\n`;
  await Deno.writeTextFile(`${FOLDER}/vm.toml`, `${toml}\n${kernel}${quiet}`);
  const vireo = SOURCE.command.map((word) => `'${word}'`).join(" ");
  const line = `${before} ${vireo} run ${FOLDER}/vm.toml`;
  const { status, stderr } = await runProgram(["sh", "-c", line], { cwd: FOLDER });
  return { status, stderr };
}

const MEMORY = '[memory]\nsize = "32M"\n';

Deno.test(
  "run names memory.lock where the limit of locked memory is too low (row 2.6)",
  NEEDS,
  async () => {
    const limited = "ulimit -l 64; setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock";
    const { status, stderr } = await run(`${MEMORY}lock = true`, limited);
    assertEquals(status, 2, stderr);
    assertMatch(stderr, /memory\.lock: .*mlock: ENOMEM.*raise `ulimit -l`, or leave it out/);
    assertEquals((await run(`${MEMORY}lock = true`)).status, 0);
  },
);

Deno.test("run names memory.hugepages where the host has none free (row 2.6)", NEEDS, async () => {
  const { status, stderr } = await run('[memory]\nsize = "1T"\nhugepages = true');
  assertEquals(status, 2, stderr);
  assertMatch(stderr, /memory\.hugepages: .*needs 524288 free huge pages of 2 MiB/);
});

Deno.test(
  "run names memory.path and disk[0].path where another program holds them",
  NEEDS,
  async () => {
    await Deno.writeFile(`${FOLDER}/held.img`, new Uint8Array(4096));
    const held = (line: string) => `exec 9<> ${FOLDER}/held.img; flock 9; ${line}`;
    const disk = await run(`${MEMORY}[[disk]]\npath = "held.img"`, held(""));
    assertEquals(disk.status, 2, disk.stderr);
    assertMatch(
      disk.stderr,
      /vm\.toml:4: disk\[0\]\.path: .*another machine or program uses it; stop that/,
    );
    const readonly = await run(`${MEMORY}[[disk]]\npath = "held.img"\nreadonly = true`, held(""));
    assertMatch(readonly.stderr, /disk\[0\]\.path: .*another machine or program writes to it/);
    await Deno.truncate(`${FOLDER}/held.img`, 0);
    const ram = await run(`${MEMORY}path = "held.img"`, held(""));
    assertEquals(ram.status, 2, ram.stderr);
    assertMatch(
      ram.stderr,
      /memory\.path: Cannot keep RAM in .*: another machine or program uses it/,
    );
  },
);

Deno.test("run names the key of a file or socket that cannot be made", NEEDS, async () => {
  for (
    const [toml, says] of [
      ['[serial]\nbackend = "file"\npath = "none/out"', /vm\.toml:5: serial\.path: /],
      ['[serial]\nbackend = "unix"\npath = "none/sock"', /vm\.toml:5: serial\.path: /],
      [
        '[serial]\nbackend = "unix"\npath = "."',
        /vm\.toml:5: serial\.path: .*" is there and no socket/,
      ],
      ['[log]\nfile = "none/log"', /vm\.toml:4: log\.file: /],
      [
        '[rng]\nsource = "none.bin"',
        /vm\.toml:4: rng\.source: Cannot take entropy from ".*none\.bin": .*ENOENT/,
      ],
    ] as const
  ) {
    const { status, stderr } = await run(`${MEMORY}${toml}`);
    assertEquals(status, 2, stderr);
    assertMatch(stderr, says);
  }
});
