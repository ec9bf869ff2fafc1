/**
 * Monitors as benches run them in the rig: the same guest with a serial port that nobody reads, a virtio console and an entropy
 * device.
 *
 * @module
 */

import { bundleProgram } from "../../src/compile.ts";
import { skipped } from "../support/require.ts";
import { V8_OPTION_EAGER } from "./v8_option.ts";
import { bringFiles, bringProgram, onSearchPath } from "./rig_folder.ts";
import type { RigGuest } from "./rig_guest.ts";

/** A monitor, ready to be run in the rig. */
export interface Monitor {
  readonly name: string;
  readonly command: readonly string[];
}

/** The name of ours. */
export const VIREO = "Vireo";
/** The name of QEMU's machine that ours is compared with. */
export const MICROVM = "QEMU microvm";

const MEMORY = "256";
const QEMU = "qemu-system-x86_64";
/** Where Debian's packages have the firmware that QEMU loads. */
const FIRMWARE = ["/usr/share/qemu", "/usr/share/seabios"];

/**
 * Ours, QEMU, without which there is no rig, and kvmtool where it is here; where it is not that is said.
 *
 * @param folder is seen in the rig, and takes the programs
 * @param guest what they boot, in that folder
 * @param console where the virtio console's output goes: nowhere, or to standard output
 */
export async function rigMonitors(
  folder: string,
  guest: RigGuest,
  console: "none" | "stdout",
): Promise<Monitor[]> {
  const monitors = [await vireo(folder, guest, console), await microvm(folder, guest, console)];
  const lkvm = Deno.env.get("KVMTOOL") ?? onSearchPath("lkvm");
  if (lkvm !== undefined) monitors.push(await kvmtool(lkvm, folder, guest));
  else skipped("kvmtool: no lkvm on the search path, and KVMTOOL names none");
  return monitors;
}

async function vireo(folder: string, guest: RigGuest, console: string): Promise<Monitor> {
  const program = await bundleProgram("src/main.ts", folder);
  const flags = ["-A", "--no-check", "--cached-only", V8_OPTION_EAGER];
  const deno = [Deno.execPath(), "run", ...flags, program];
  const machine = ["--cpus", "1", "--memory", `${MEMORY}M`, "--set", "serial.backend=none"];
  const boots = ["--kernel", guest.kernel, "--initrd", guest.initrd];
  const line = ["--cmdline", guest.parameters.join(" ")];
  const output = ["--console", console === "none" ? "none" : "stdio"];
  return { name: VIREO, command: [...deno, "run", ...machine, ...boots, ...line, ...output] };
}

/**
 * Without the chips that this kernel can do without. It has its ACPI tables, which is where Debian's kernels find virtio devices:
 * `acpi=off` would be another guest, with none.
 */
async function microvm(folder: string, guest: RigGuest, console: string): Promise<Monitor> {
  const firmware = `${folder}/firmware`;
  for (const from of FIRMWARE) if (await isFolder(from)) await bringFiles(from, firmware);
  const program = await bringProgram(onSearchPath(QEMU) ?? QEMU, folder);
  const options = "accel=kvm,acpi=on,pit=off,pic=off,rtc=on,auto-kernel-cmdline=off";
  const machine = ["-M", `microvm,${options}`, "-cpu", "host", "-smp", "1", "-m", MEMORY];
  const plain = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  const boots = ["-kernel", guest.kernel, "-initrd", guest.initrd];
  const chardev = console === "none" ? "null,id=console" : "stdio,id=console,signal=off";
  const devices = ["virtio-serial-device", "virtconsole,chardev=console", "virtio-rng-device"];
  return {
    name: MICROVM,
    command: [
      ...program,
      ...["-L", firmware, ...machine, ...plain, ...boots],
      ...["-append", guest.parameters.join(" "), "-serial", "null", "-chardev", chardev],
      ...devices.flatMap((device) => ["-device", device]),
    ],
  };
}

/** It unpacks no ELF file, and its virtio devices are on PCI. */
async function kvmtool(path: string, folder: string, guest: RigGuest): Promise<Monitor> {
  const program = await bringProgram(path, folder);
  const machine = ["--cpus", "1", "--mem", MEMORY, "--rng", "--network", "mode=none"];
  const boots = ["--kernel", guest.packed, "--initrd", guest.initrd, "--console", "virtio"];
  const line = guest.parameters.filter((word) => word !== "pci=off").join(" ");
  return {
    name: "kvmtool",
    command: [...program, "run", ...machine, ...boots, "--params", line],
  };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
