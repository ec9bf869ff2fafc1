/**
 * The scripts of L1: what its initramfs and its first process do.
 *
 * @module
 */

import { shellQuote } from "../base/shell_quote.ts";

/** A folder of the host that L1 sees under the same path. */
export interface Mount {
  /** Absolute path, on the host and in L1. */
  readonly path: string;
  /**
   * `shared`: read and written as it is, changes are seen at once. `constant`: read only and cached, for what nobody
   * changes while L1 is up. `scratch`: cached too, and what L1 writes stays in L1 and goes with it.
   */
  readonly mode: "shared" | "constant" | "scratch";
}

/** Options of every 9p mount; `msize` is near the most that virtio's 9p transport takes. */
const P9 = "trans=virtio,version=9p2000.L,msize=507904";

/** A FIFO in L1 at whose end the modules are loaded. */
export const MODULES_LOADED = "/run/modules-loaded";

/** `/init` of the initramfs: mounts L1's root, the cache's by 9p below a tmpfs, and goes there. */
export const INITRAMFS_INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /dev /lower /upper /new_root
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules); do $b insmod /$module || echo "init: no $module"; done
$b mount -t 9p -o ${P9},ro,cache=loose root /lower || exit 1
$b mount -t tmpfs -o mode=755 tmpfs /upper || exit 1
$b mkdir /upper/changes /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/changes,workdir=/upper/work root /new_root || exit 1
$b mkdir -p /new_root/run
$b mount -t tmpfs -o mode=755 tmpfs /new_root/run
$b mkdir -p /new_root/run/rig /new_root/dev
$b mount -t 9p -o ${P9},ro rig /new_root/run/rig || exit 1
$b mount -o move /dev /new_root/dev
exec $b switch_root /new_root /bin/sh /run/rig/init
`;

/** Tags of the mounts, in their order: what QEMU calls them and L1 mounts. */
export function mountTag(index: number): string {
  return `mount${index}`;
}

/** The first process of L1, made for each start: file systems, modules, mounts, then the agent until it ends. */
export function initScript(options: {
  readonly mounts: readonly Mount[];
  readonly agent: readonly string[];
  readonly deno: string;
  readonly env: Readonly<Record<string, string>>;
}): string {
  return [
    SYSTEM,
    ...options.mounts.map((mount, index) => mountLines(mount, mountTag(index))),
    `ln -sf ${shellQuote(options.deno)} /usr/local/bin/deno`,
    ...Object.entries(options.env).map(([name, value]) => `export ${name}=${shellQuote(value)}`),
    START,
    `${options.agent.map(shellQuote).join(" ")} <>"$port" >&0`,
    'echo "init: agent ended with status $?"',
    "poweroff -f",
    "",
  ].join("\n");
}

const SYSTEM = `export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /proc /sys /tmp /root /var/tmp /usr/local/bin /mnt
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ln -sf /proc/self/fd /dev/fd
ip link set lo up
echo 1 >/proc/sys/vm/overcommit_memory
hostname rig`;

/** The agent's runtime takes as long to start as the modules, so they come at the same time. */
const START = `mkfifo ${MODULES_LOADED}
{
  for module in kvm_amd tun vhost_net vhost_vsock; do
    modprobe $module || echo "init: no $module"
  done
  chmod 666 /dev/kvm
  : >${MODULES_LOADED}
} &
for port in /dev/vport*; do :; done
ulimit -c 0
cd /`;

function mountLines(mount: Mount, tag: string): string {
  const path = shellQuote(mount.path);
  switch (mount.mode) {
    case "shared":
      return `mkdir -p ${path}; mount -t 9p -o ${P9} ${tag} ${path}`;
    case "constant":
      return `mkdir -p ${path}; mount -t 9p -o ${P9},ro,cache=loose ${tag} ${path}`;
    case "scratch":
      return `mkdir -p ${path} /run/${tag}/lower; mount -t tmpfs tmpfs /run/${tag}
mkdir -p /run/${tag}/lower /run/${tag}/changes /run/${tag}/work
mount -t 9p -o ${P9},ro,cache=loose ${tag} /run/${tag}/lower
mount -t overlay -o lowerdir=/run/${tag}/lower,upperdir=/run/${tag}/changes,workdir=/run/${tag}/work ${tag} ${path}`;
    default:
      return mount.mode satisfies never;
  }
}
