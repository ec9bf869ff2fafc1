/**
 * What `vireo boot` can be told.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";
import {
  type DiskConfig,
  MAX_CPUS,
  MAX_MEMORY,
  MIN_MEMORY,
  PAGE_SIZE,
} from "../config/machine_config.ts";
import { BOOT_TIMER } from "../config/machine_options.ts";
import {
  describeOptions,
  describeRows,
  HELP,
  type OptionTable,
  parseOptions,
  switchOption,
} from "../config/options.ts";
import { parseDuration, parseSize } from "../config/units.ts";
import { resolve } from "../std/path.ts";

/** What to do when the guest reboots. */
export type OnReboot = "exit" | "restart";

/** Whether to boot in the rig. */
export type RigChoice = "auto" | "never" | "always";

/** The options of `vireo boot`, parsed. */
export interface BootOptions {
  /** vCPUs. */
  readonly cpus: number;
  /** Bytes of RAM. */
  readonly memory: number;
  /** Disks; a scratch disk where there is none. */
  readonly disks: readonly DiskConfig[];
  /** Put behind Vireo's own command line. */
  readonly cmdline: string;
  /** Kernel instead of Debian's. */
  readonly kernel: string | undefined;
  /** Initramfs instead of Vireo's. */
  readonly initrd: string | undefined;
  /** Command instead of the interactive shell. */
  readonly exec: string | undefined;
  /** Milliseconds from the guest's start, or from when the rig is up, to the guest's end at the latest. */
  readonly timeout: number | undefined;
  readonly onReboot: OnReboot;
  readonly rig: RigChoice;
  readonly verbose: boolean;
  readonly bootTimer: boolean;
  readonly help: boolean;
}

const ON_REBOOT = ["exit", "restart"] as const satisfies readonly OnReboot[];
const RIG = ["auto", "never", "always"] as const satisfies readonly RigChoice[];

/** Their rows. */
export const BOOT_OPTIONS: OptionTable<BootOptions> = {
  cpus: {
    flag: "--cpus",
    value: "N",
    help: `Number of vCPUs, 1 to ${MAX_CPUS}; 2 by default.`,
    initial: 2,
    parse: parseCpus,
  },
  memory: {
    flag: "--memory",
    value: "SIZE",
    help: "RAM: 512M, 2G; MiB where no unit is given. 512M by default.",
    initial: 512 * 2 ** 20,
    parse: parseMemory,
  },
  disks: {
    flag: "--disk",
    value: "PATH[,readonly]",
    help:
      "A raw disk image or block device, /dev/vda in the guest; may be given again for /dev/vdb " +
      "and so on. Without it there is an empty scratch disk of 1 GiB that is gone afterwards.",
    initial: [],
    parse: (text, before) => [...before, parseDisk(text)],
  },
  cmdline: {
    flag: "--cmdline",
    value: "TEXT",
    help: "Kernel parameters, put behind Vireo's own.",
    initial: "",
    parse: parseCmdline,
  },
  kernel: {
    flag: "--kernel",
    value: "PATH",
    help:
      "A bzImage or an ELF kernel, packed with gzip or not; Debian's linux-image-cloud-amd64 by default, fetched once. Its modules are " +
      "looked for in lib/modules beside it and on this system.",
    initial: undefined,
    parse: (text) => parsePath(text, "--kernel"),
  },
  initrd: {
    flag: "--initrd",
    value: "PATH",
    help:
      "An initramfs of your own, whose console is hvc0; Vireo makes one with busybox by default.",
    initial: undefined,
    parse: (text) => parsePath(text, "--initrd"),
  },
  exec: {
    flag: "--exec",
    value: "CMD",
    help:
      "Runs CMD with the guest's sh instead of an interactive shell: its stdin, stdout, stderr " +
      "and exit status are ours.",
    initial: undefined,
    parse: parseCommand,
  },
  timeout: {
    flag: "--timeout",
    value: "TIME",
    help:
      "Ends the guest so long after its start, in the rig after the rig's own: 30s, 5m; seconds " +
      "where no unit is given.",
    initial: undefined,
    parse: (text) => parseDuration(text, "--timeout"),
  },
  onReboot: {
    flag: "--on-reboot",
    value: ON_REBOOT.join("|"),
    help: "What a reboot of the guest does: end with status 6, or start it again. exit by default.",
    initial: "exit",
    parse: (text) => parseChoice(text, ON_REBOOT, "--on-reboot"),
  },
  rig: {
    flag: "--rig",
    value: RIG.join("|"),
    help: "Whether to boot in the rig, a full KVM that QEMU emulates; auto does it where this " +
      "system's KVM cannot run Linux.",
    initial: "auto",
    parse: (text) => parseChoice(text, RIG, "--rig"),
  },
  verbose: switchOption("--verbose", "Shows the kernel's log (the serial port) on stderr."),
  bootTimer: BOOT_TIMER,
  help: HELP,
};

/**
 * Reads the arguments behind `vireo boot`.
 *
 * @throws ConfigError that names the option
 */
export function parseBootOptions(args: readonly string[]): BootOptions {
  const options = parseOptions(BOOT_OPTIONS, args);
  if (options.exec !== undefined && options.initrd !== undefined) {
    throw new ConfigError("--exec", "It needs Vireo's own initramfs; leave --initrd out");
  }
  return options;
}

/** Arguments that are parsed to these options again, each path absolute: what another Vireo in another folder is given. */
export function bootArguments(options: BootOptions): string[] {
  const { kernel, initrd, exec, timeout } = options;
  return [
    `--cpus=${options.cpus}`,
    `--memory=${options.memory / 1024}K`,
    ...options.disks.map(({ path, readonly }) =>
      `--disk=${resolve(path)}${readonly ? ",readonly" : ""}`
    ),
    `--cmdline=${options.cmdline}`,
    ...(kernel === undefined ? [] : [`--kernel=${resolve(kernel)}`]),
    ...(initrd === undefined ? [] : [`--initrd=${resolve(initrd)}`]),
    ...(exec === undefined ? [] : [`--exec=${exec}`]),
    ...(timeout === undefined ? [] : [`--timeout=${timeout}ms`]),
    `--on-reboot=${options.onReboot}`,
    `--rig=${options.rig}`,
    ...(options.verbose ? ["--verbose"] : []),
    ...(options.bootTimer ? [BOOT_TIMER.flag] : []),
  ];
}

/** The help of `vireo boot`. */
export function bootHelp(): string {
  return `Boots Linux, to a shell on this terminal or for one command.

Usage: vireo boot [OPTION]...

${describeOptions(BOOT_OPTIONS)}
In the shell, \`exit\` powers the guest off; Ctrl-A x ends it at once, Ctrl-A h helps.

Exit status:
${
    describeRows([
      { left: "  0", right: "The guest powered off, or Ctrl-A x was typed." },
      { left: "  1", right: "Our own fault; the state is printed." },
      {
        left: "  2",
        right: "Usage: an option, or a file or program that is needed, cannot be used.",
      },
      { left: "  3", right: "KVM is missing or unfit, and so is the rig." },
      {
        left: "  4",
        right:
          "The guest crashed: a panic, a reset before its init reported in, a triple fault, or a " +
          "KVM error.",
      },
      { left: "  5", right: "--timeout is over." },
      { left: "  6", right: "The guest rebooted, with --on-reboot=exit." },
      { left: "  128+n", right: "Signal n ended us." },
      {
        left: "  --exec",
        right: "The command's own status; 125 instead of all the above but signals.",
      },
    ])
  }`;
}

function parseCpus(text: string): number {
  const cpus = /^\d+$/.test(text) ? Number(text) : NaN;
  if (cpus >= 1 && cpus <= MAX_CPUS) return cpus;
  throw new ConfigError("--cpus", `"${text}" is no number of vCPUs; give 1 to ${MAX_CPUS}`);
}

function parseMemory(text: string): number {
  const memory = parseSize(text, "--memory");
  if (memory < MIN_MEMORY) {
    throw new ConfigError(
      "--memory",
      `"${text}" is too small for any kernel; 128M is a good least`,
    );
  }
  if (memory <= MAX_MEMORY && memory % PAGE_SIZE === 0) return memory;
  throw new ConfigError("--memory", `"${text}" is no multiple of 4 KiB up to 1 TiB; give 2G`);
}

/** `,readonly` at the end is ours; every other comma belongs to the path. */
function parseDisk(text: string): DiskConfig {
  const readonly = text.endsWith(",readonly");
  const path = parsePath(readonly ? text.slice(0, -",readonly".length) : text, "--disk");
  return { path, readonly };
}

function parsePath(text: string, flag: string): string {
  if (text !== "" && !text.includes("\0")) return text;
  throw new ConfigError(flag, "The path is empty or holds NUL; name a file");
}

/** The kernel takes a newline as a space, so what is meant would be lost. */
function parseCmdline(text: string): string {
  if (!/[\0\n]/.test(text)) return text;
  throw new ConfigError("--cmdline", "It holds a NUL or a newline; a command line is one line");
}

function parseCommand(text: string): string {
  if (!text.includes("\0")) return text;
  throw new ConfigError("--exec", "The command holds a NUL byte; no shell can run that");
}

function parseChoice<Choice extends string>(
  text: string,
  choices: readonly Choice[],
  flag: string,
): Choice {
  const choice = choices.find((choice) => choice === text);
  if (choice !== undefined) return choice;
  throw new ConfigError(flag, `"${text}" is none of ${choices.join(", ")}`);
}
