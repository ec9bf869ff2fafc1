/** How `vireo run` ends, and what it does then. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bootFiles, linuxRequirement } from "../support/linux_guest.ts";
import { RunningBoot } from "./boot_command.ts";
import { RunMachine, until, VIREO } from "./run_machine.ts";

const NEEDS = linuxRequirement();
const SECTOR = 512;

/** Counts the starts of the guest on its disk; sets $count to how many there were before. */
const COUNT = `
read -r count < /dev/vda
echo $((count + 1)) > /dev/vda
sync
echo "start $count"
`;

const MACHINE = `
name = "again"
[memory]
size = "128M"
[[disk]]
path = "count.img"
[console]
backend = "file"
path = "console.log"
`;

/** A disk that says 0. */
function zero(): Uint8Array {
  const image = new Uint8Array(8 * SECTOR);
  image.set(new TextEncoder().encode("0\n"));
  return image;
}

function countOf(machine: RunMachine): string {
  return machine.text("count.img").split("\n")[0] ?? "";
}

Deno.test(
  "run starts a guest again after a reboot and a crash, on the same disk (row 1.9)",
  NEEDS,
  async () => {
    using machine = await RunMachine.make({
      toml: `${MACHINE}[machine]\non_reboot = "restart"\non_crash = "restart"\n`,
      files: { "count.img": zero() },
      script: `${COUNT}
      [ $count != 0 ] || reboot -f
      [ $count != 1 ] || echo c > /proc/sysrq-trigger
    `,
    });
    const { code, stderr } = await machine.run();
    const said = new TextDecoder().decode(stderr);
    assertEquals([code, countOf(machine)], [0, "3"], said);
    assertMatch(machine.text("console.log"), /start 0[^]*start 1[^]*start 2/);
    assertMatch(said, /again: The guest rebooted; starting it again/);
    assertMatch(said, /again: The guest's kernel panicked[^]*; starting it again/);
  },
);

Deno.test(
  "run starts a guest again after its power-off, and ends with 6 as it reboots",
  NEEDS,
  async () => {
    using machine = await RunMachine.make({
      toml: `${MACHINE}[machine]\non_poweroff = "restart"\n`,
      files: { "count.img": zero() },
      script: `${COUNT}[ $count != 1 ] || reboot -f`,
    });
    const { code, stderr } = await machine.run();
    assertEquals([code, countOf(machine)], [6, "2"], new TextDecoder().decode(stderr));
  },
);

Deno.test(
  "run with a kernel alone gets to its first line, and ends with 4 as it panics (row 0.1)",
  NEEDS,
  async () => {
    const { kernel } = await bootFiles();
    await using running = new RunningBoot(["run", "--kernel", kernel], {
      stdin: "null",
      command: VIREO,
    });
    const { code, stderr } = await running.end();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 4, said);
    assertMatch(
      said,
      /console \[ttyS0\] enabled[^]*Kernel panic - not syncing: VFS: Unable to mount root[^]*panicked and reset: VFS/,
    );
  },
);

Deno.test(
  "run bears its machine's name (row 2.1), ends with 5 at --timeout, and with 143 on SIGTERM",
  NEEDS,
  async () => {
    const restart =
      '[machine]\non_reboot = "restart"\non_poweroff = "restart"\non_crash = "restart"\n';
    using machine = await RunMachine.make({
      toml: `${MACHINE}${restart}`,
      files: { "count.img": zero() },
      script: `${COUNT}sleep 1000`,
      options: ["--timeout", "5m"],
    });
    await using running = machine.start();
    await until("the guest is up", () => machine.text("console.log").includes("start 0"));
    assertEquals(await Deno.readTextFile(`/proc/${running.pid}/comm`), "again\n");
    running.kill("SIGTERM");
    assertEquals((await running.end()).code, 143);
    using short = await RunMachine.make({
      toml: `${MACHINE}${restart}`,
      files: { "count.img": zero() },
      script: "sleep 1000",
      options: ["--timeout", "500ms"],
    });
    assertEquals((await short.run()).code, 5);
  },
);

Deno.test("run keeps a second writer from a disk, and lets readers share one", NEEDS, async () => {
  const toml = `
[memory]
size = "128M"
[[disk]]
path = "rw.img"
[[disk]]
path = "ro.img"
readonly = true
[console]
backend = "file"
path = "console.log"
`;
  using machine = await RunMachine.make({
    toml,
    files: { "rw.img": zero(), "ro.img": zero() },
    script: "echo up; sleep 1000",
  });
  await using running = machine.start();
  await until("the guest is up", () => machine.text("console.log").includes("up"));
  const again = await machine.run();
  const said = new TextDecoder().decode(again.stderr);
  assertEquals(again.code, 2, said);
  assertMatch(
    said,
    /vm\.toml:5: disk\[0\]\.path: Cannot use disk "\S+rw\.img": another machine or program uses it; stop that/,
  );
  assert(!said.includes("ro.img"), said);
  running.kill("SIGTERM");
  await running.end();
});
