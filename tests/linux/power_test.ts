/** How guests end: power-off, reboot, panic; and how they start again. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { linuxRequirement, runGuest, textOf } from "../support/linux_guest.ts";
import { pause } from "../support/pause.ts";
import { RunningBoot } from "./boot_command.ts";

const NEEDS = linuxRequirement();
/** How long ended threads may take to go, in ms. */
const PATIENCE = 30_000;
const DISK_SIZE = 2 ** 20;
/** RAM that a kernel told to use 256 MiB leaves alone. */
const BEYOND = "0x18000000";

Deno.test("Machine.pressPowerButton() makes Linux power off", NEEDS, async () => {
  const { outcome, status, ready } = await runGuest({
    command: "sleep 1000",
    config: { cpus: 2 },
    whenReady: (machine) => machine.pressPowerButton(),
  });
  assertEquals([outcome.reason, outcome.cause], ["powered-off", "power-off"]);
  assertEquals([ready, status], [true, undefined]);
});

Deno.test("Machine.run() tells a reboot that Linux asks for (row 1.9)", NEEDS, async () => {
  const { outcome, status, stdout } = await runGuest({
    command: "echo before; reboot -f; sleep 1000",
  });
  assertEquals([outcome.reason, outcome.cause], ["reboot", "reset"]);
  assertEquals([textOf(stdout), status], ["before\n", undefined]);
});

Deno.test(
  "Machine.run() tells a panic of Linux, whose log says why (row 2.37)",
  NEEDS,
  async () => {
    const { outcome, log } = await runGuest({
      command: "echo c > /proc/sysrq-trigger; sleep 1000",
      config: { cpus: 2 },
    });
    assertEquals([outcome.reason, outcome.cause], ["crashed", "panic"]);
    assertMatch(log, /Kernel panic - not syncing: sysrq triggered crash/);
  },
);

Deno.test(
  "boot --on-reboot restart boots again, in the same process, on the same disk, with zeroed RAM (row 1.9)",
  NEEDS,
  async () => {
    const path = await Deno.makeTempFile();
    await Deno.writeFile(path, new Uint8Array(DISK_SIZE));
    const command = `
      count=$(head -c 1 /dev/vda | tr '\\0' 0)
      count=$((count + 1))
      echo $count | dd of=/dev/vda conv=notrunc,fsync 2> /dev/null
      echo "boot $count finds $(devmem ${BEYOND} 32)"
      devmem ${BEYOND} 32 0x12345678
      [ $count -ge 3 ] && read -r line && exit 42
      reboot -f`;
    const options = ["--disk", path, "--on-reboot", "restart", "--cpus", "2", "--exec", command];
    await using running = new RunningBoot([...options, "--cmdline", "mem=256M"]);
    await running.sees("boot 1 finds");
    const first = await holdings(running.pid);
    await running.sees("boot 3 finds");
    const last = await holdingsOnce(running.pid, first.descriptors + 2);
    await running.type("\n", { end: true });
    const { code, stdout, stderr } = await running.end();
    const disk = await Deno.readFile(path);
    await Deno.remove(path);
    assertEquals(code, 42, textOf(stderr));
    const lines = [1, 2, 3].map((count) => `boot ${count} finds 0x00000000\n`);
    assertEquals(textOf(stdout), lines.join(""));
    assert(textOf(disk).startsWith("3\n\0"), textOf(disk.subarray(0, 16)));
    // Nothing of the machines before is left.
    assertEquals(last.vcpuMappings, first.vcpuMappings);
    assert(last.descriptors <= first.descriptors + 2, `${last.descriptors} descriptors are open`);
  },
);

/** What a boot that runs has open and mapped, once there are as few descriptors as `wanted`: those of ended threads go a little later. */
async function holdingsOnce(pid: number, wanted: number) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const found = await holdings(pid);
    if (found.descriptors <= wanted || performance.now() > deadline) return found;
    await pause(200);
  }
}

/** What a boot that runs has open and mapped. */
async function holdings(pid: number) {
  const maps = (await Deno.readTextFile(`/proc/${pid}/maps`)).split("\n");
  const { length: descriptors } = await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`));
  return { vcpuMappings: maps.filter((map) => map.includes("kvm-vcpu")).length, descriptors };
}
