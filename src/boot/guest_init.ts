/**
 * What runs in the guest as process 1 and the files around it: busybox shell, written for the fewest processes since each costs
 * a millisecond and far more under nested emulation.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { shellQuote } from "../base/shell_quote.ts";
import { MARK } from "../devices/boot_marks.ts";
import { PORT } from "./control_protocol.ts";

/** What init is to do in one run. */
export interface GuestTask {
  /** Command for `sh`, run instead of the interactive shell. */
  readonly command?: string;
  /** Said behind the kernel's release before the shell begins; nothing if absent. */
  readonly greeting?: string;
  /** `TERM` of the shell, `linux` if absent. */
  readonly terminal?: string;
  /** Name of the guest, `vireo` if absent. */
  readonly hostname?: string;
  /** Whether init writes marks to the boot timer's port. */
  readonly timer?: boolean;
}

/** Where one run's settings and command lie in the guest. */
export const TASK_FOLDER = "vireo";

/** The program that tells the boot timer, in the guest. */
export const MARK_PROGRAM = `${TASK_FOLDER}/mark`;

/** Files of init that are the same in every run, by path; executable where the path says so. */
export const INIT_FILES: readonly {
  readonly path: string;
  readonly mode: number;
  readonly text: string;
}[] = [
  { path: "init", mode: 0o755, text: initScript() },
  { path: "etc/acpi/PWRF/00000080", mode: 0o755, text: powerButton() },
  { path: "etc/profile", mode: 0o644, text: profile() },
  { path: "etc/fstab", mode: 0o644, text: fstab() },
  { path: "etc/passwd", mode: 0o644, text: "root:x:0:0:root:/root:/bin/sh\n" },
  { path: "etc/group", mode: 0o644, text: "root:x:0:\ntty:x:5:\n" },
  { path: "etc/hosts", mode: 0o644, text: "127.0.0.1 localhost\n" },
];

/** The files of one run, by path. */
export function taskFiles(task: GuestTask): { readonly path: string; readonly text: string }[] {
  if (task.command?.includes("\0")) {
    throw new VireoError(
      "range",
      "Cannot run a command that holds a NUL byte: no shell can; leave the byte out",
    );
  }
  const settings = [
    `greeting=${shellQuote(task.greeting ?? "")}`,
    `terminal=${shellQuote(task.terminal ?? "linux")}`,
    `hostname=${shellQuote(task.hostname ?? "vireo")}`,
    `timer=${task.timer ? "on" : ""}`,
    "",
  ].join("\n");
  const files = [{ path: `${TASK_FOLDER}/settings`, text: settings }];
  if (task.command !== undefined) {
    files.push({ path: `${TASK_FOLDER}/command`, text: `${task.command}\n` });
  }
  return files;
}

function initScript(): string {
  return `#!/bin/busybox sh
# Process 1 of a guest that \`vireo boot\` made.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

. /${TASK_FOLDER}/settings
[ -z "$timer" ] || ${mark(MARK.init)}

power_off() {
  sync
  # Without ACPI there is no way to power off, and the kernel would halt for good.
  [ ! -d /sys/firmware/acpi ] || poweroff -f
  reboot -f
}

give_up() {
  echo "vireo init: $*, so the guest powers off"
  power_off
}

# Sets $found to the device node of the port called $1. The kernel learns the names some time after the driver is loaded.
find_port() {
  tries=0
  while [ $tries -lt 500 ]; do
    for folder in /sys/class/virtio-ports/*; do
      if [ -r "$folder/name" ] && read -r name < "$folder/name" && [ "$name" = "$1" ]; then
        found=/dev/\${folder##*/}
        ln -s "$found" "/dev/virtio-ports/$1"
        return
      fi
    done
    tries=$((tries + 1))
    sleep 0.02
  done
  give_up "there is no port called $1"
}

mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/virtio-ports
mount -a
modules=
read -r modules < /etc/modules
[ -z "$modules" ] || modprobe -a $modules

echo "$hostname" > /proc/sys/kernel/hostname
export TERM="$terminal"
ifconfig lo 127.0.0.1 up
acpid -f -l /dev/null > /dev/null 2>&1 &
cd /root

find_port ${PORT.control}
exec 3<> "$found"

if [ -e /${TASK_FOLDER}/command ]; then
  find_port ${PORT.stdin}
  in=$found
  find_port ${PORT.stdout}
  out=$found
  find_port ${PORT.stderr}
  [ -z "$timer" ] || ${mark(MARK.command)}
  echo ready >&3
  # In a subshell, or else this shell would say on the command's stderr by which signal it was killed.
  (exec sh /${TASK_FOLDER}/command 2> "$found" 3>&-) < "$in" > "$out"
  status=$?
  sync
  echo "exit $status" >&3
else
  [ -c /dev/hvc0 ] || give_up "there is no console /dev/hvc0"
  read -r release < /proc/sys/kernel/osrelease
  [ -z "$timer" ] || ${mark(MARK.command)}
  echo ready >&3
  # Open from now on: what was typed ahead would be lost with a close.
  exec 4<> /dev/hvc0
  echo "Linux $release$greeting" >&4
  setsid -c sh -l <&4 >&4 2>&4 3>&- 4>&-
fi
power_off
`;
}

/** Tells the boot timer. */
function mark(code: number): string {
  return `/${MARK_PROGRAM} ${String.fromCharCode(code)}`;
}

/** What acpid runs for its event "PWRF". */
function powerButton(): string {
  return `#!/bin/busybox sh
sync
exec poweroff -f
`;
}

function profile(): string {
  return `PS1='\\u@\\h:\\w\\$ '
alias ls='ls --color=auto' ll='ls -l'
`;
}

/** Linux mounts them in this order; /dev is there before. */
function fstab(): string {
  return `proc /proc proc defaults 0 0
sys /sys sysfs defaults 0 0
pts /dev/pts devpts gid=5,mode=620 0 0
shm /dev/shm tmpfs mode=1777 0 0
tmp /tmp tmpfs mode=1777 0 0
run /run tmpfs mode=755 0 0
`;
}
