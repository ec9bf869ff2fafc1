/**
 * What a machine's description may say: one row a key. The check, the JSON Schema, the help and README's reference are all made from
 * these rows.
 *
 * @module
 */

import { CPU_FEATURES } from "./cpu_features.ts";
import { MAX_CPUS, MAX_MEMORY, MIN_MEMORY, UUID_PATTERN } from "./machine_config.ts";

/** What a key's value is. */
export type KeyType = "string" | "path" | "integer" | "size" | "boolean" | "choice" | "choices";

/** One key. */
export interface KeyRow {
  /** Tables and key: `memory.size`; `disk[].path` is a key of each `[[disk]]`. */
  readonly path: string;
  readonly type: KeyType;
  /** A sentence that says what it is. */
  readonly help: string;
  /** What it is where it is not given; absent where the key has no value then. */
  readonly initial?: string | number | boolean | readonly string[];
  /** Where the default is no constant: how it comes about. */
  readonly initialText?: string;
  /** Least and most, of integers, of a size in bytes, or of a text's length in bytes. */
  readonly least?: number;
  readonly most?: number;
  /** A size is a multiple of it. */
  readonly multiple?: number;
  /** What a choice is among; for a path, words that are none. */
  readonly choices?: readonly string[];
  readonly pattern?: RegExp;
  /** What the pattern or choices allow, where it is not seen from them. */
  readonly allowed?: string;
  /** A machine cannot be run without it. */
  readonly required?: boolean;
}

const ACTIONS = ["exit", "restart"] as const;
const CONSOLES = ["stdio", "pty", "file", "unix", "none"] as const;
const SECTOR = 512;
const PAGE = 4096;
/** RAM begins below the devices' windows, and at least a MiB of it is there. */
const MAX_BASE = 0xd0000000 - MIN_MEMORY;

/** The rows in the order of a file. */
export const KEYS: readonly KeyRow[] = [
  {
    path: "name",
    type: "string",
    initial: "vireo",
    pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]*$/,
    allowed: "letters, digits, dots, dashes and underscores, a letter or digit first",
    most: 64,
    help: "The machine's name: of its process in `ps`, and in front of Vireo's messages.",
  },
  {
    path: "uuid",
    type: "string",
    pattern: UUID_PATTERN,
    allowed: "five groups of hexadecimal digits, as uuidgen prints them",
    help: "The machine's UUID, as the guest finds it in /sys/class/dmi/id/product_uuid.",
  },
  {
    path: "machine.type",
    type: "choice",
    choices: ["microvm"],
    initial: "microvm",
    help: "The kind of machine: virtio devices, no firmware.",
  },
  {
    path: "machine.on_reboot",
    type: "choice",
    choices: ACTIONS,
    initial: "exit",
    help: "What a reboot of the guest does: end Vireo with status 6, or start the guest again.",
  },
  {
    path: "machine.on_poweroff",
    type: "choice",
    choices: ACTIONS,
    initial: "exit",
    help: "What the guest's power-off does: end Vireo with status 0, or start the guest again.",
  },
  {
    path: "machine.on_crash",
    type: "choice",
    choices: ACTIONS,
    initial: "exit",
    help: "What a crash of the guest does: end Vireo with status 4, or start the guest again, " +
      "after a second.",
  },
  {
    path: "machine.kvm",
    type: "path",
    initial: "/dev/kvm",
    help: "KVM's device, or as `fd:N` a descriptor of it that the process was started with.",
  },
  {
    path: "machine.interrupts",
    type: "boolean",
    initial: true,
    help: "The machine has interrupt controllers. Without them there is no virtio device and no " +
      "Linux: for programs that load a guest of their own.",
  },
  {
    path: "cpu.count",
    type: "integer",
    least: 1,
    most: MAX_CPUS,
    initialText: "as many as `max`",
    help: "Number of vCPUs.",
  },
  {
    path: "cpu.max",
    type: "integer",
    least: 1,
    most: MAX_CPUS,
    initialText: "as many as `count`, or the product of sockets, cores and threads",
    help: "Number of vCPUs that the guest makes room for, those that are not there included: its " +
      "possible CPUs.",
  },
  {
    path: "cpu.sockets",
    type: "integer",
    least: 1,
    most: MAX_CPUS,
    initial: 1,
    help: "Sockets that the vCPUs are spread over.",
  },
  {
    path: "cpu.cores",
    type: "integer",
    least: 1,
    most: MAX_CPUS,
    initialText: "as many as `max` needs",
    help: "Cores of each socket.",
  },
  {
    path: "cpu.threads",
    type: "integer",
    least: 1,
    most: MAX_CPUS,
    initial: 1,
    help: "Threads of each core.",
  },
  {
    path: "cpu.model",
    type: "choice",
    choices: ["host"],
    initial: "host",
    help: "The processor that the guest sees: the host's own, as far as KVM passes it on.",
  },
  {
    path: "cpu.features",
    type: "choices",
    choices: CPU_FEATURES.map((name) => `-${name}`),
    allowed: 'a minus and a name of /proc/cpuinfo: "-avx2"',
    initial: [],
    help: "Features of the processor that the guest does not see.",
  },
  {
    path: "memory.size",
    type: "size",
    least: MIN_MEMORY,
    most: MAX_MEMORY,
    multiple: PAGE,
    initial: 2 ** 30,
    help: "RAM.",
  },
  {
    path: "memory.base",
    type: "size",
    least: 0,
    most: MAX_BASE,
    multiple: PAGE,
    initial: 0,
    help: "Guest physical address of the RAM. Linux wants 0: for programs that load a guest of " +
      "their own.",
  },
  {
    path: "memory.path",
    type: "path",
    help: "A file that holds the RAM, made where it is not there; its old content is lost. What " +
      "else it may be is empty, or as large as the RAM.",
  },
  {
    path: "memory.shared",
    type: "boolean",
    initial: false,
    help: "The RAM is a shared mapping, as processes that serve devices need it; with `path` it " +
      "always is.",
  },
  {
    path: "memory.hugepages",
    type: "boolean",
    initial: false,
    help: "The RAM is made of 2 MiB pages of the host's pool (vm.nr_hugepages).",
  },
  {
    path: "memory.prealloc",
    type: "boolean",
    initial: false,
    help: "All pages of the RAM are there from the start, not from the guest's first use on.",
  },
  {
    path: "memory.lock",
    type: "boolean",
    initial: false,
    help: "The RAM is never swapped out (`ulimit -l` must allow it).",
  },
  {
    path: "kernel.path",
    type: "path",
    required: true,
    help: "The kernel: a bzImage (vmlinuz), an ELF file (vmlinux), or either packed with gzip.",
  },
  {
    path: "kernel.entry",
    type: "choice",
    choices: ["auto", "linux64", "pvh"],
    initial: "auto",
    help:
      "How an ELF kernel is entered: by Linux' 64-bit boot protocol, by Xen's PVH protocol, or " +
      "by PVH where its notes name such an entry. A bzImage has the 64-bit entry alone.",
  },
  {
    path: "kernel.initrd",
    type: "path",
    help: "Its initramfs.",
  },
  {
    path: "kernel.cmdline",
    type: "string",
    initial: "console=ttyS0 console=hvc0 panic=-1 reboot=acpi tsc=reliable pci=off",
    pattern: /^[^\0\r\n]*$/,
    allowed: "one line without NUL",
    most: 65535,
    help: "Its command line. With `acpi=off` in it the virtio devices are put behind.",
  },
  {
    path: "disk[].id",
    type: "string",
    initialText: "`disk0`, `disk1` and so on",
    pattern: /^[A-Za-z][A-Za-z0-9_.-]*$/,
    allowed: "letters, digits, dots, dashes and underscores, a letter first",
    most: 64,
    help: "The disk's name in Vireo's messages; no two have the same.",
  },
  {
    path: "disk[].path",
    type: "path",
    help: "An image or block device: `/dev/vda` in the guest is the first disk.",
  },
  {
    path: "disk[].size",
    type: "size",
    least: SECTOR,
    most: 2 ** 52,
    multiple: SECTOR,
    help: "Instead of a path: an empty disk of this size, gone afterwards.",
  },
  {
    path: "disk[].format",
    type: "choice",
    choices: ["raw"],
    initial: "raw",
    help: "How the disk lies in the file.",
  },
  {
    path: "disk[].readonly",
    type: "boolean",
    initial: false,
    help: "The guest may not write; several machines may read one image.",
  },
  {
    path: "disk[].serial",
    type: "string",
    initialText: "the disk's `id`",
    pattern: /^[\x20-\x7e]*$/,
    allowed: "printable ASCII",
    most: 20,
    help: "The serial number that the guest reads.",
  },
  {
    path: "disk[].cache",
    type: "choice",
    choices: ["writeback", "writethrough", "none", "unsafe"],
    initial: "writeback",
    help: "When writes reach the medium: at the guest's next flush; each before it ends; at a " +
      "flush too, and past the host's page cache; or whenever the host likes, with flushes ignored.",
  },
  {
    path: "console.backend",
    type: "choice",
    choices: CONSOLES,
    initial: "stdio",
    help: "Where the console (hvc0) is: on Vireo's terminal, on a pseudo-terminal of its own, in " +
      "a file, behind a Unix socket that Vireo listens on, for one client after another, or nowhere.",
  },
  {
    path: "console.path",
    type: "path",
    help: 'The file of backend "file", emptied at the start, or the socket of backend "unix".',
  },
  {
    path: "serial.backend",
    type: "choice",
    choices: ["log", ...CONSOLES],
    initial: "log",
    help: "Where the serial port (ttyS0) is; `log` keeps its output for the case of a crash, and " +
      "without a port there is nothing to show then.",
  },
  {
    path: "serial.path",
    type: "path",
    help: 'The file of backend "file", emptied at the start, or the socket of backend "unix".',
  },
  {
    path: "rng.source",
    type: "path",
    choices: ["getrandom", "none"],
    initial: "getrandom",
    help: "What the entropy device gives: the host kernel's randomness, or what is read of a " +
      "character device, a FIFO or a file, which is given out once; or no device.",
  },
  {
    path: "rng.max_bytes",
    type: "size",
    least: 1,
    most: 2 ** 40,
    help: "Most bytes that the guest gets in a period.",
  },
  {
    path: "rng.period",
    type: "integer",
    least: 1,
    most: 86_400_000,
    initial: 1000,
    help: "Milliseconds of a period.",
  },
  {
    path: "log.level",
    type: "choice",
    choices: ["off", "error", "warn", "info", "verbose"],
    initial: "info",
    help: "Which of Vireo's own messages are given; each level includes those before it.",
  },
  {
    path: "log.file",
    type: "path",
    help: "A file that they are added to, instead of stderr.",
  },
];
