/**
 * The Linux guest that benches run in the rig under several monitors: one kernel, one initramfs whose init tells each moment by a
 * byte to a port, and one command line.
 *
 * @module
 */

import { type BootFiles, findBootFiles, KERNEL_PACKAGE } from "../../src/boot/boot_files.ts";
import { type CpioEntry, writeCpio } from "../../src/boot/cpio.ts";
import { defaultCommandLine } from "../../src/boot/default_command_line.ts";
import { markProgram } from "../../src/boot/mark_program.ts";
import { type KernelModule, readModulesFolder, resolveModules } from "../../src/boot/modules.ts";
import { fetchPackages } from "../../src/boot/packages.ts";
import { progress } from "../support/progress.ts";

/** What every monitor is given. */
export interface RigGuest {
  /** The kernel, unpacked where this system can unpack it. */
  readonly kernel: string;
  /** The same kernel as a bzImage. */
  readonly packed: string;
  readonly initrd: string;
  /** What the kernel is told; a monitor with PCI leaves `pci=off` out. */
  readonly parameters: readonly string[];
}

/** The bytes that init writes, by what they tell. */
export const GUEST_MARK = {
  /** Process 1 runs. */
  init: "I",
  /** The drivers of all virtio devices are loaded. */
  drivers: "D",
} as const;

/** What `vireo boot` gives a guest, but that every monitor ends by a triple fault: it is the one reset that all of them have. */
const PARAMETERS = defaultCommandLine({
  ownInit: true,
  verbose: false,
  more: "reboot=t rdinit=/bench/init",
}).split(" ");

/**
 * Puts the guest's files into a folder.
 *
 * @param folder takes them
 * @param task lines of shell that init runs at its end
 */
export async function makeRigGuest(folder: string, task = ""): Promise<RigGuest> {
  const files = await findBootFiles({ progress });
  const root = (await fetchPackages([KERNEL_PACKAGE], { progress })).get(KERNEL_PACKAGE)?.root;
  const guest = { kernel: `${folder}/kernel`, packed: `${folder}/bzImage` };
  await Deno.copyFile(files.kernel, guest.kernel);
  await Deno.copyFile(await childOf(`${root}/boot`, "vmlinuz-"), guest.packed);
  const modules = await childOf(`${root}/lib/modules`, "");
  const initrd = `${folder}/initrd`;
  await writeInitrd(
    initrd,
    files,
    await resolveModules(await readModulesFolder(modules), PCI),
    task,
  );
  return { ...guest, initrd, parameters: PARAMETERS };
}

/** What a monitor's virtio devices on PCI need; the initramfs of `vireo boot` has none of it. */
const PCI = ["virtio_pci"];

async function childOf(folder: string, prefix: string): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(prefix)) return `${folder}/${name}`;
  }
  throw new Error(`There is no ${prefix}… in "${folder}"`);
}

const PAGE = 4096;

/**
 * The initramfs of `vireo boot` with another init behind it, in whole pages: QEMU's microvm puts it at the end of RAM, and leaves its
 * firmware's ACPI tables there the most room, a page, where it ends with one.
 */
async function writeInitrd(
  path: string,
  { initrd }: BootFiles,
  modules: readonly KernelModule[],
  task: string,
): Promise<void> {
  const program = { kind: "file", path: "bench/mark", mode: 0o755, data: markProgram() } as const;
  const archive = writeCpio([
    { kind: "directory", path: "bench" },
    program,
    ...modules.map(({ name, data }) =>
      ({ kind: "file", path: `bench/${name}.ko`, mode: 0o644, data }) as const
    ),
    script("bench/init", initScript(modules.map(({ name }) => name), task)),
  ]);
  await Deno.copyFile(initrd, path);
  await Deno.writeFile(path, archive, { append: true });
  const { size } = await Deno.stat(path);
  await Deno.truncate(path, Math.ceil(size / PAGE) * PAGE);
}

function script(path: string, text: string): CpioEntry {
  return { kind: "file", path, mode: 0o755, data: new TextEncoder().encode(text) };
}

function initScript(modules: readonly string[], task: string): string {
  return `#!/bin/busybox sh
/bench/mark ${GUEST_MARK.init}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
set -- /sys/bus/pci/devices/*
[ ! -e "$1" ] || for module in ${modules.join(" ")}; do insmod /bench/$module.ko; done
read -r modules < /etc/modules
modprobe -a $modules
/bench/mark ${GUEST_MARK.drivers}
${task}
reboot -f
`;
}
