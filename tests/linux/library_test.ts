/** The library against a real Linux: what a loader is told, memory, interrupt lines, the shortest description there is. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createMachine } from "../../src/library/create_machine.ts";
import type { Loader, MachineInfo } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { Fifo } from "../support/fifo.ts";
import {
  bootFiles,
  type GuestPlan,
  linuxRequirement,
  runGuest,
  textOf,
} from "../support/linux_guest.ts";
import { pause } from "../support/pause.ts";

const NEEDS = linuxRequirement();

/** Waits until the guest has written something to its serial port; gives the match. */
async function sees(machine: Machine, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = pattern.exec(textOf(machine.serialLog()));
    if (found !== null) return found;
    await pause(50);
  }
}

/** Runs a guest that says something on its serial port, and goes on when the host has looked. */
async function withPause(
  command: string,
  look: (machine: Machine) => Promise<void>,
  more: Partial<GuestPlan> = {},
): Promise<string> {
  using input = new Fifo();
  const { outcome, status, stdout, stderr } = await runGuest({
    command: `stty -F /dev/ttyS0 raw -echo; exec 3<> /dev/ttyS0\n${command}`,
    ...more,
    config: { ...more.config, serial: { input: input.reader.number, output: -1 } },
    whenReady: async (machine) => {
      await look(machine);
      input.put("go\n");
    },
  });
  assertEquals([outcome.reason, status, stderr], ["powered-off", 0, ""]);
  return textOf(stdout);
}

Deno.test(
  "createMachine() boots a kernel that is all that is given, to its first line (row 0.1)",
  NEEDS,
  async () => {
    const { kernel } = await bootFiles();
    await using machine = await createMachine({ kernel: { path: kernel } });
    assertEquals([machine.config.cpus, machine.config.memory], [1, 2 ** 30]);
    const stop = new AbortController();
    const run = machine.run({ signal: stop.signal });
    await sees(machine, /Linux version \d+\.\d+/);
    stop.abort();
    assert(["interrupted", "crashed", "reboot"].includes((await run).reason));
  },
);

Deno.test(
  "Machine.memory reads the kernel's banner out of a running Linux (row 1.4)",
  NEEDS,
  async () => {
    const banners: string[] = [];
    const stdout = await withPause(
      `
      symbol() { sed -n "s/^\\([0-9a-f]*\\) . $1\$/\\1/p" /proc/kallsyms; }
      code=$(sed -n 's/^ *\\([0-9a-f]*\\)-.*Kernel code/\\1/p' /proc/iomem)
      echo "banner=$(symbol linux_banner) text=$(symbol _text) code=$code;" >&3
      read -r line <&3
      cat /proc/version`,
      async (machine) => {
        const said = /banner=(\w+) text=(\w+) code=(\w+);/;
        const [, banner, text, code] = (await sees(machine, said)).map((hex) =>
          BigInt(`0x${hex.match(/^\w+$/) ?? 0}`)
        );
        const bytes = new Uint8Array(512);
        machine.memory.read(Number((code ?? 0n) + (banner ?? 0n) - (text ?? 0n)), bytes);
        banners.push(textOf(bytes.subarray(0, bytes.indexOf(0))));
      },
    );
    assertMatch(stdout, /^Linux version \d/);
    assertEquals(banners, [stdout]);
  },
);

Deno.test(
  "Machine.setIrqLine() raises a line that a driver of Linux has claimed, once (row 1.10)",
  NEEDS,
  async () => {
    const count = "awk '/IO-APIC +9-edge/ { print $2 }' /proc/interrupts";
    const stdout = await withPause(
      `${count}; echo "first;" >&3; read -r line <&3; ${count}`,
      async (machine) => {
        await sees(machine, /first;/);
        machine.setIrqLine(9, 1);
        machine.setIrqLine(9, 0);
      },
    );
    const [before = NaN, after] = stdout.trim().split("\n").map(Number);
    assertEquals(after, before + 1, stdout);
  },
);

Deno.test(
  "a loader is told what Linux finds: vCPUs, RAM, and each device's window and interrupt (row 0.15)",
  NEEDS,
  async () => {
    const told: MachineInfo[] = [];
    const stdout = await withPause(
      "nproc; cat /proc/iomem /proc/interrupts; echo 'x;' >&3; read -r line <&3",
      async (machine) => void await sees(machine, /x;/),
      {
        config: { cpus: 2, disks: [{ size: 2 ** 20 }, { size: 2 ** 20 }] },
        wrapLoader: (loader: Loader) => ({
          ...loader,
          loadMemory: (info, memory) => {
            told.push(info);
            return loader.loadMemory(info, memory);
          },
        }),
      },
    );
    const [info] = told;
    assert(info !== undefined);
    assertEquals(stdout.split("\n")[0], String(info.cpus));
    assertEquals([info.memorySize, info.ram], [2 ** 28, [{ address: 0, size: 2 ** 28 }]]);
    assertMatch(stdout, /-0fffffff : System RAM/);
    const virtio = info.devices.filter(({ kind }) => kind === "virtio-mmio");
    assertEquals(virtio.map(({ id }) => id), ["ports0", "disk0", "disk1", "rng0"]);
    for (const [index, { windows, gsi }] of virtio.entries()) {
      const [window] = windows;
      const start = (window?.base ?? 0).toString(16);
      const end = ((window?.base ?? 0) + (window?.size ?? 0) - 1).toString(16);
      assertMatch(stdout, new RegExp(`${start}-${end} : LNRO0005:0${index}`));
      assertMatch(stdout, new RegExp(`IO-APIC +${gsi}-edge +virtio${index}$`, "m"));
    }
    const serial = info.devices.find(({ kind }) => kind === "uart16550");
    assertMatch(stdout, new RegExp(`IO-APIC +${serial?.gsi}-edge +ttyS0$`, "m"));
  },
);
