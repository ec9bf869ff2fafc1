/** Debian's kernels, packed and unpacked, by each of their entries. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { defaultCommandLine } from "../../src/boot/default_command_line.ts";
import { type CpioEntry, writeCpio } from "../../src/boot/cpio.ts";
import type { EntryChoice } from "../../src/boot/linux_loader.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import { linuxLoader } from "../../src/machine/linux.ts";
import { askGuest, linuxRequirement, textOf } from "../support/linux_guest.ts";
import { DEBIAN_KERNELS, type DebianKernel, testKernel } from "../support/linux_kernels.ts";

/** A boot: the file as it comes, or unpacked and entered by one of its entries. */
type Form = "bzImage" | "64-bit ELF" | "PVH ELF";

const ENTRIES = {
  "bzImage": "auto",
  "64-bit ELF": "linux64",
  "PVH ELF": "pvh",
} as const satisfies Record<Form, EntryChoice>;

const ALL = [1, 2, 4];
const DISK_SIZE = 2 ** 26;
const KERNELS = Object.keys(DEBIAN_KERNELS) as DebianKernel[];
const FORMS = Object.keys(ENTRIES) as Form[];
const BOOTS = KERNELS.flatMap((kernel) =>
  FORMS.flatMap((form) => ALL.map((cpus) => [kernel, form, cpus] as const))
);

for (const [kernel, form, cpus] of BOOTS) {
  Deno.test(
    `Debian's ${kernel} kernel boots as a ${form} with ${cpus} vCPUs (row 3.24)`,
    linuxRequirement(kernel),
    async () => {
      const files = await testKernel(kernel);
      const image = form === "bzImage" ? files.kernel : files.vmlinux;
      const output = await askGuest({
        kernel: { kernel: image, initrd: files.initrd, entry: ENTRIES[form] },
        command:
          "uname -r; nproc; cat /sys/block/vda/size; dmesg | grep -c 'Booting paravirtualized kernel on KVM'",
        config: { cpus, disks: [{ size: DISK_SIZE }] },
      });
      const [release = "", ...rest] = output.trimEnd().split("\n");
      assert(release.startsWith(`${kernel.split(" ")[0]}.`), release);
      assertEquals(rest, [`${cpus}`, `${DISK_SIZE / 512}`, "1"]);
    },
  );
}

/** An init that tells what it finds over the serial port: without ACPI this kernel has no other device. */
const PROBE: CpioEntry = {
  kind: "file",
  path: "probe",
  mode: 0o755,
  data: new TextEncoder().encode(`#!/bin/busybox sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
{
  echo "cpus: $(nproc)"
  # The port's interrupt is asked for while it is open.
  grep ttyS0 /proc/interrupts
} > /dev/ttyS0
reboot -f
`),
};

for (const cpus of ALL) {
  Deno.test(
    `Debian's generic kernel boots without ACPI on ${cpus} vCPUs of the MP table (rows 3.17, 3.24)`,
    linuxRequirement("6.1 generic"),
    async () => {
      const { kernel, initrd } = await testKernel("6.1 generic");
      const more = "acpi=off reboot=k loglevel=7 rdinit=/probe";
      const commandLine = defaultCommandLine({ ownInit: true, verbose: true, more });
      const loader = linuxLoader({ kernel, initrd: [initrd, writeCpio([PROBE])], commandLine });
      const config = { cpus, memory: 256 * 2 ** 20, rng: false };
      await using machine = await buildMachine(config, { loader });
      const outcome = await machine.run({ signal: AbortSignal.timeout(240_000) });
      const log = textOf(machine.serialLog());
      assertEquals([outcome.reason, outcome.cause], ["reboot", "reset"], log);
      assertMatch(log, /Intel MultiProcessor Specification v1\.4/);
      assertMatch(log, /MPTABLE: OEM ID: VIREO/);
      assertMatch(log, new RegExp(`^cpus: ${cpus}\\r?$`, "m"));
      assertMatch(log, /4: .*IO-APIC +4-edge +ttyS0/);
    },
  );
}
