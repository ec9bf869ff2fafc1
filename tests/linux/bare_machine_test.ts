/** Machines of which little is said: what is not named is the default, or is not there. */

import { assertEquals } from "@std/assert";
import { bootFiles, linuxRequirement } from "../support/linux_guest.ts";
import { RunningBoot } from "./boot_command.ts";
import { RunMachine, sections, VIREO } from "./run_machine.ts";

const NEEDS = linuxRequirement();

Deno.test(
  "a machine of which only the kernel is given has 1 GiB of RAM (row 0.2)",
  NEEDS,
  async () => {
    const { kernel } = await bootFiles();
    const file = await Deno.makeTempFile({ prefix: "vireo-serial-" });
    const serial = ["--set", "serial.backend=file", "--set", `serial.path=${file}`];
    await using running = new RunningBoot(["run", "--kernel", kernel, ...serial], {
      stdin: "null",
      command: VIREO,
    });
    await running.end();
    const log = await Deno.readTextFile(file);
    await Deno.remove(file);
    const ranges = [...log.matchAll(/BIOS-e820: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]/g)].map(
      ([, first, last]) => [parseInt(first ?? "", 16), parseInt(last ?? "", 16) + 1] as const,
    );
    const low = ranges.filter(([first]) => first < 2 ** 30);
    const size = low.reduce((sum, [first, end]) => sum + end - first, 0);
    assertEquals([low[0]?.[0], low.at(-1)?.[1], size], [0, 2 ** 30, 2 ** 30], log);
  },
);

Deno.test(
  "a machine without console, entropy and disks has no device but those its file names (row 2.22)",
  NEEDS,
  async () => {
    using machine = await RunMachine.make({
      toml: `
[memory]
size = "192M"
[console]
backend = "none"
[rng]
source = "none"
[serial]
backend = "file"
path = "serial.log"
[[disk]]
size = "1M"
`,
      output: "/dev/ttyS0",
      script: `
say virtio; for device in /sys/bus/virtio/devices/*; do cat $device/device; done
say blocks; ls /sys/block | grep -v -e loop -e ram
say consoles; ls /sys/class/tty | grep hvc
say cards; ls /sys/class/net
say pci; ls /sys/bus/pci/devices
say end
`,
    });
    await machine.run();
    const { end: _, ...found } = sections(machine.text("serial.log"));
    assertEquals(found, {
      virtio: "0x0002",
      blocks: "vda",
      consoles: "",
      cards: "lo",
      pci: "",
    });
  },
);
