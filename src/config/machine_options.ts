/**
 * Options that describe a machine, for the commands that take a file or flags or both.
 *
 * @module
 */

import { ConfigError } from "../base/errors.ts";
import { type Override, parseOverride } from "./load.ts";
import { type Option, type OptionTable, switchOption } from "./options.ts";

/** What they say, each as keys of the description. */
export interface MachineOptions {
  readonly kernel: readonly Override[];
  readonly initrd: readonly Override[];
  readonly cmdline: readonly Override[];
  readonly cpus: readonly Override[];
  readonly memory: readonly Override[];
  readonly disks: readonly Override[];
  readonly console: readonly Override[];
  readonly set: readonly Override[];
}

/** An option that gives one key. */
function keyOption(
  flag: string,
  key: string,
  { value, help }: { readonly value: string; readonly help: string },
): Option<readonly Override[]> {
  return { flag, value, help, initial: [], parse: (text) => [{ key, text, place: flag }] };
}

/** Their rows. */
export const MACHINE_OPTIONS: OptionTable<MachineOptions> = {
  kernel: keyOption("--kernel", "kernel.path", {
    value: "PATH",
    help: "The kernel: a bzImage (vmlinuz), an ELF file (vmlinux), or either packed with gzip.",
  }),
  initrd: keyOption("--initrd", "kernel.initrd", { value: "PATH", help: "Its initramfs." }),
  cmdline: keyOption("--cmdline", "kernel.cmdline", {
    value: "TEXT",
    help: "Its whole command line.",
  }),
  cpus: {
    flag: "--cpus",
    value: "N",
    help: "Number of vCPUs, in one socket; --set cpu.sockets=2 and so on say otherwise.",
    initial: [],
    parse: (text) => [
      ...["sockets", "cores", "threads"].map((key) => ({ key: `cpu.${key}`, place: "--cpus" })),
      { key: "cpu.count", text, place: "--cpus" },
    ],
  },
  memory: keyOption("--memory", "memory.size", {
    value: "SIZE",
    help: "RAM: 512M, 2G; MiB where no unit is given.",
  }),
  disks: {
    flag: "--disk",
    value: "PATH[,readonly][,serial=TEXT]",
    help:
      "A raw disk image or block device; may be given again. The file's disks do not count then.",
    initial: [],
    parse: parseDisk,
  },
  console: {
    flag: "--console",
    value: "stdio|none|pty|file:PATH|unix:PATH",
    help: "Where the console is: on this terminal, nowhere, on a pseudo-terminal, in a file, or " +
      "on a socket that takes one client at a time.",
    initial: [],
    parse: parseConsole,
  },
  set: {
    flag: "--set",
    value: "KEY=VALUE",
    help: "Any key of the file: memory.hugepages=true, disk[0].readonly=true; may be given again.",
    initial: [],
    parse: (text, before) => [...before, parseOverride(text, "--set")],
  },
};

/** The option for how long a start takes, of the commands that run a guest. */
export const BOOT_TIMER: Option<boolean> = switchOption(
  "--boot-timer",
  "Says on stderr, at the guest's end, when its start got how far. A guest adds rows by writing " +
    "bytes to port 0xe9.",
);

/** Everything they say, in the order in which it counts: `--set` last. */
export function overridesOf(options: MachineOptions): readonly Override[] {
  const { kernel, initrd, cmdline, cpus, memory, disks, console, set } = options;
  return [...kernel, ...initrd, ...cmdline, ...cpus, ...memory, ...disks, ...console, ...set];
}

function parseDisk(text: string, before: readonly Override[]): readonly Override[] {
  const place = "--disk";
  const disk = before.filter(({ key }) => key.endsWith(".path")).length;
  const found: Override[] = [];
  let path = text;
  for (;;) {
    const [ending, option, serial] = /,(readonly|serial=([^,]*))$/.exec(path) ?? [];
    if (ending === undefined) break;
    path = path.slice(0, -ending.length);
    found.push(
      option === "readonly"
        ? { key: `disk[${disk}].readonly`, text: "true", place }
        : { key: `disk[${disk}].serial`, text: serial ?? "", place },
    );
  }
  const none: Override = { key: "disk", place };
  const first = before.length === 0 ? [none] : before;
  return [...first, { key: `disk[${disk}].path`, text: path, place }, ...found];
}

function parseConsole(text: string): readonly Override[] {
  const place = "--console";
  const colon = text.indexOf(":");
  const backend = colon < 0 ? text : text.slice(0, colon);
  const path: Override = { key: "console.path", place };
  if (colon < 0) return [path, { key: "console.backend", text, place }];
  if (backend !== "file" && backend !== "unix") {
    throw new ConfigError(place, `"${text}" is none of stdio, none, pty, file:PATH, unix:PATH`);
  }
  return [
    { key: "console.backend", text: backend, place },
    { ...path, text: text.slice(colon + 1) },
  ];
}

/** Splits the file's path off the options of a command. */
export function splitFile(
  table: OptionTable<object>,
  args: readonly string[],
): { readonly file?: string; readonly rest: readonly string[] } {
  const rows: readonly Option<unknown>[] = Object.values(table);
  const withValue = new Set(rows.filter(({ value }) => value !== undefined).map((row) => row.flag));
  const rest: string[] = [];
  let file: string | undefined;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-")) {
      if (file !== undefined) {
        throw new ConfigError(arg, `There is a file already, "${file}"; give one`);
      }
      file = arg;
      continue;
    }
    rest.push(arg);
    if (withValue.has(arg) && at + 1 < args.length) rest.push(args[++at] ?? "");
  }
  return { rest, ...(file === undefined ? {} : { file }) };
}
