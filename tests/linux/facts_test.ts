/** What one guest finds: its command line, devices, clock and entropy. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { defaultCommandLine } from "../../src/boot/default_command_line.ts";
import type { DiskConfig } from "../../src/config/machine_config.ts";
import { type GuestRun, linuxRequirement, once, runGuest, textOf } from "../support/linux_guest.ts";

const NEEDS = linuxRequirement();
const PARAMETERS = 'vireo.one=1 vireo.two="a b" -- for=init';

/** Milliseconds since 1970 on the host, before and after the guest looked at its clock. */
interface Interval {
  from: number;
  to: number;
}

/** What {@linkcode facts} asks, by the names of the answers. */
const QUESTIONS = {
  rtc: "cat /sys/class/rtc/rtc0/since_epoch",
  date: "date +%s",
  commandLine: "cat /proc/cmdline",
  devices: "ls -l /sys/bus/virtio/devices | sed -n 's/.*-> //p'",
  ids: "cat /sys/bus/virtio/devices/*/device",
  disks:
    "cd /sys/block; for disk in vd*; do echo $disk $(readlink $disk) $(cat $disk/serial); done",
  entropy: "head -c 64 /dev/hwrng | xxd -p -c 64; head -c 64 /dev/hwrng | xxd -p -c 64",
  entropySource: "cat /sys/class/misc/hw_random/rng_current",
  clock: "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
  timer: "cat /sys/devices/system/clockevents/clockevent0/current_device",
  errors: "dmesg -r | grep '^<[0-3]>'",
  alarms: "dmesg | grep -E 'BUG|WARNING: C|Call Trace|unchecked MSR|nobody cared|irmware|unstable'",
  waits:
    "dmesg | grep -iE 'calibrat|i8042|PIT|hpet|refined-jiffies|pci [0-9a-f]{4}:|timed? ?out|retry'",
  log: "dmesg",
} as const;

interface Facts {
  readonly run: GuestRun;
  readonly interval: Interval;
  readonly answers: Record<keyof typeof QUESTIONS, string>;
}

/** One guest with three disks answers all questions. */
const facts = once(async (): Promise<Facts> => {
  const folder = await Deno.makeTempDir();
  const serials = ["first", "second-one", "12345678901234567890"];
  const disks = serials.map((serial): DiskConfig => ({ path: `${folder}/${serial}`, serial }));
  for (const { path } of disks) await Deno.writeFile(path, new Uint8Array(2 ** 20));
  const interval = { from: 0, to: 0 };
  const run = await runGuest({
    command: Object.values(QUESTIONS).map((question) => `( ${question} ); echo =====`).join("\n"),
    parameters: PARAMETERS,
    config: { cpus: 2, disks },
    whenReady: () => {
      interval.from = Date.now();
    },
  });
  interval.to = Date.now();
  await Deno.remove(folder, { recursive: true });
  assertEquals([run.outcome.reason, run.status, run.stderr], ["powered-off", 0, ""]);
  const texts = textOf(run.stdout).split("=====\n");
  const entries = Object.keys(QUESTIONS).map((name, index) => [name, texts[index]?.trimEnd()]);
  return { run, interval, answers: Object.fromEntries(entries) };
});

Deno.test(
  "Linux gets its initrd, and the command line as it was given (rows 0.24, 2.7)",
  NEEDS,
  async () => {
    const { answers } = await facts();
    const given = defaultCommandLine({ ownInit: true, verbose: false, more: PARAMETERS });
    assertEquals(answers.commandLine, given);
    assert(given.endsWith(` ${PARAMETERS}`), given);
  },
);

Deno.test("Linux with ACPI finds no devices on its command line (row 0.17)", NEEDS, async () => {
  const { answers } = await facts();
  assertEquals(answers.commandLine.includes("virtio_mmio.device"), false);
});

Deno.test("Linux finds each device once, in the machine's order (row 0.16)", NEEDS, async () => {
  const { answers } = await facts();
  const places = [0, 1, 2, 3, 4].map((n) => `../../../devices/platform/LNRO0005:0${n}/virtio${n}`);
  assertEquals(answers.devices.split("\n"), places);
  // Console with ports, three disks, entropy (virtio 1.3 §5).
  assertEquals(answers.ids.split("\n"), ["0x0003", "0x0002", "0x0002", "0x0002", "0x0004"]);
});

Deno.test(
  "Linux names disks in the machine's order, by their serials (row 0.16)",
  NEEDS,
  async () => {
    const { answers } = await facts();
    const found = answers.disks.split("\n").map((line) =>
      line.replace(/ \S*\/(virtio\d)\/\S+ /, " $1 ")
    );
    assertEquals(found, [
      "vda virtio1 first",
      "vdb virtio2 second-one",
      "vdc virtio3 12345678901234567890",
    ]);
  },
);

Deno.test("Linux reads different entropy each time", NEEDS, async () => {
  const { answers } = await facts();
  assertEquals(answers.entropySource, "virtio_rng.0");
  const [one = "", other = ""] = answers.entropy.split("\n");
  assertMatch(one, /^[0-9a-f]{128}$/);
  assertMatch(other, /^[0-9a-f]{128}$/);
  assertNotEquals(one, other);
  // 64 random bytes with fewer than 32 values among them: less likely than 1 in 10^20.
  assert(new Set(one.match(/../g)).size >= 32, one);
});

for (const clock of ["rtc", "date"] as const) {
  Deno.test(`Linux' ${clock} is within 2 s of the host's clock`, NEEDS, async () => {
    const { answers, interval } = await facts();
    const seconds = Number(answers[clock]);
    const { from, to } = interval;
    assert(from / 1000 - 2 <= seconds && seconds <= to / 1000 + 2, `${seconds}: ${from} to ${to}`);
  });
}

Deno.test("Linux keeps time by KVM's clock and its CPU's deadline timer", NEEDS, async () => {
  const { answers } = await facts();
  assertEquals([answers.clock, answers.timer], ["kvm-clock", "lapic-deadline"]);
});

Deno.test("Linux has nothing to complain about but that there is no PCI", NEEDS, async () => {
  const { run, answers } = await facts();
  const errors = answers.errors.replaceAll(/^<\d>\[ *[\d.]+\] /gm, "");
  assertEquals(errors, "PCI: Fatal: No config space access function found");
  assertEquals(answers.alarms, "", answers.log);
  assertEquals(run.warnings, []);
});

Deno.test(
  "Linux measures no clock and waits for no hardware that is not there",
  NEEDS,
  async () => {
    const { answers } = await facts();
    const lines = answers.waits.replaceAll(/^\[ *[\d.]+\] /gm, "").split("\n");
    const [jiffies = "", delay = "", controller = "", ...more] = lines;
    assertMatch(jiffies, /^clocksource: refined-jiffies: mask/);
    assertMatch(delay, /^Calibrating delay loop \(skipped\) preset value/);
    assertEquals([controller, ...more], ["i8042: PNP: No PS/2 controller found."]);
  },
);

Deno.test(
  "Linux without ACPI is told of each device on its command line, before init's own words (row 0.17)",
  NEEDS,
  async () => {
    // Without ACPI this kernel has neither console nor disks, so it ends where init would start.
    const parameters = "acpi=off rdinit=/none loglevel=7 vireo.own=1 -- for=init";
    const { log } = await runGuest({ command: "", parameters });
    const line = /Command line: (.*?)\r?\n/.exec(log)?.[1] ?? log;
    const given = defaultCommandLine({ ownInit: true, verbose: false, more: parameters });
    const clauses = "virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6";
    assertEquals(line, given.replace(" -- ", ` ${clauses} -- `));
  },
);
