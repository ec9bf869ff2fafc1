/**
 * What `vireo doctor` looks at beside KVM: nothing of it is needed, each is for something.
 *
 * @module
 */

import { EACCES, EPERM, O_CLOEXEC, O_RDWR } from "../abi/linux.ts";
import { errnoText } from "../base/errors.ts";
import { closeNumber, openPath } from "../host/fd.ts";
import { readNamedText } from "../host/named_file.ts";
import { ioUringAvailable } from "../storage/uring_file.ts";

/** One thing that was looked at. */
export interface Finding {
  /** What: `KVM_CAP_IRQFD`. */
  readonly name: string;
  /** Whether it is there and as it should be. */
  readonly ok: boolean;
  /** Whether `run` fails without it. */
  readonly needed: boolean;
  /** What was found. */
  readonly found: string;
  /** What it is used for. */
  readonly use: string;
  /** What to do about it, where it is not ok. */
  readonly remedy?: string;
}

/** Looks at everything. */
export function examineSystem(): Finding[] {
  return [
    examineUring(),
    examineHugePages(),
    ...DEVICES.map(examineDevice),
    examineUserNamespaces(),
  ];
}

function examineUring(): Finding {
  const finding = {
    name: "io_uring",
    needed: false,
    use: "disks; without it each has a thread that blocks",
  };
  if (ioUringAvailable()) return { ...finding, ok: true, found: "available" };
  const remedy = "sysctl kernel.io_uring_disabled=0, or allow it in the container";
  return { ...finding, ok: false, found: "missing", remedy };
}

function examineHugePages(): Finding {
  const free = setting("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") ?? 0;
  const found = `${free} of 2 MiB free`;
  const finding = { name: "huge pages", needed: false, found, use: "memory.hugepages" };
  if (free > 0) return { ...finding, ok: true };
  return { ...finding, ok: false, remedy: "sysctl vm.nr_hugepages=512 sets 1 GiB aside" };
}

/** Device files, each with the module that brings it. */
const DEVICES = [
  { path: "/dev/net/tun", module: "tun", use: "tap networks, in a later version" },
  {
    path: "/dev/vhost-net",
    module: "vhost_net",
    use: "networks in the kernel, in a later version",
  },
  {
    path: "/dev/vhost-vsock",
    module: "vhost_vsock",
    use: "sockets into the guest, in a later version",
  },
] as const;

/** Looks at one of them; tests put their own path in. */
export function examineDevice(
  { path, module, use }: { readonly path: string; readonly module: string; readonly use: string },
): Finding {
  const finding = { name: path, needed: false, use };
  // bits: flags of open
  const result = openPath(path, O_RDWR | O_CLOEXEC);
  if (result >= 0) {
    closeNumber(result);
    return { ...finding, ok: true, found: "opens" };
  }
  const isThere = [EACCES, EPERM].includes(-result);
  const remedy = isThere
    ? `give yourself rights: sudo setfacl -m u:$USER:rw ${path}; in a container allow the device`
    : `modprobe ${module}; in a container pass the device in`;
  return { ...finding, ok: false, found: errnoText(-result), remedy };
}

/** Settings that keep users from namespaces of their own, each with the value that does, and what allows them. */
const NAMESPACE_SETTINGS = [
  { path: "/proc/sys/user/max_user_namespaces", forbidden: 0, set: 10000 },
  { path: "/proc/sys/kernel/unprivileged_userns_clone", forbidden: 0, set: 1 },
  { path: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", forbidden: 1, set: 0 },
] as const;

function examineUserNamespaces(): Finding {
  const name = "user namespaces";
  const finding = {
    name,
    needed: false,
    use: "networks and mounts without root, in a later version",
  };
  if (setting(NAMESPACE_SETTINGS[0].path) === undefined) {
    const remedy = "use a kernel with CONFIG_USER_NS";
    return { ...finding, ok: false, found: "missing", remedy };
  }
  const forbidding = NAMESPACE_SETTINGS.find(({ path, forbidden }) => setting(path) === forbidden);
  if (forbidding === undefined) return { ...finding, ok: true, found: "allowed" };
  const key = forbidding.path.replace("/proc/sys/", "").replaceAll("/", ".");
  const remedy = `sysctl ${key}=${forbidding.set}`;
  return { ...finding, ok: false, found: `forbidden by ${key}`, remedy };
}

/** A number that the kernel keeps in a file; undefined where there is no such file. */
function setting(path: string): number | undefined {
  try {
    return Number(readNamedText(path, 64));
  } catch {
    // A kernel without it has no such file.
    return undefined;
  }
}
