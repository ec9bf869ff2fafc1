/**
 * The command `vireo check`: a machine's description with everything that follows from it, or everything that is wrong with it.
 * No KVM is touched.
 *
 * @module
 */

import { ConfigError, errorText } from "../base/errors.ts";
import { placeOf } from "../config/check.ts";
import type { Description } from "../config/description.ts";
import { loadDescription } from "../config/load.ts";
import { machineOf } from "../config/machine_of.ts";
import {
  MACHINE_OPTIONS,
  type MachineOptions,
  overridesOf,
  splitFile,
} from "../config/machine_options.ts";
import { type Mistake, mistakeText } from "../config/mistake.ts";
import {
  describeOptions,
  describeRows,
  HELP,
  type OptionTable,
  parseOptions,
  switchOption,
} from "../config/options.ts";
import { KEYS, type KeyType } from "../config/schema.ts";
import { jsonSchema, keyHelp } from "../config/schema_output.ts";
import { sizeText } from "../config/units.ts";
import { readNamed } from "../host/named_file.ts";
import { type Preview, previewMachine } from "../machine/preview.ts";
import { EXIT, statusOfError } from "./exit_status.ts";
import { checkFiles, type FileCheck } from "./file_check.ts";
import { checkKernel } from "./kernel_check.ts";
import { print, printHelp, say } from "./say.ts";

/** What it can be told. */
export interface CheckOptions extends MachineOptions {
  readonly json: boolean;
  readonly schema: boolean;
  readonly help: boolean;
}

/** Its options. */
export const CHECK_OPTIONS: OptionTable<CheckOptions> = {
  ...MACHINE_OPTIONS,
  json: switchOption("--json", "Prints the machine, or the mistakes, as JSON."),
  schema: switchOption("--schema", "Prints the file's JSON Schema, for editors."),
  help: HELP,
};

/** What a check has found. */
export interface CheckReport {
  readonly mistakes: readonly Mistake[];
  /** Absent where there are mistakes. */
  readonly machine?: Description & Preview;
}

/**
 * Runs the command.
 *
 * @param args what stands behind `check`
 * @returns the exit status: 2 where there is a mistake
 */
export async function check(args: readonly string[]): Promise<number> {
  try {
    const { file, rest } = splitFile(CHECK_OPTIONS, args);
    const options = parseOptions(CHECK_OPTIONS, rest);
    if (options.help) return printHelp(checkHelp());
    if (options.schema) return print(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    const report = await checkMachine(file, options);
    return options.json ? printJson(report) : printText(report);
  } catch (error) {
    say(`vireo: ${errorText(error)}`);
    return statusOfError(error);
  }
}

/** Checks a file, flags, or a file with flags over it. */
export async function checkMachine(
  file: string | undefined,
  options: MachineOptions,
): Promise<CheckReport> {
  const overrides = overridesOf(options);
  if (file === undefined && overrides.length === 0) {
    throw new ConfigError("CONFIG.toml", "It is missing; name a file, or give --kernel at least");
  }
  try {
    const source = file === undefined ? { overrides } : { file, overrides, read: readNamed };
    const { description, mistakes, locate } = loadDescription(source);
    if (description === undefined) return { mistakes };
    const report = await checkHost(description);
    const placed = report.mistakes.map((found) => ({ ...found, ...placeOf(locate(found.key)) }));
    return { ...report, mistakes: placed };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { mistakes: [syntaxMistake(error)] };
  }
}

/** What the host has to say: files, whether all devices have room, and whether the kernel can be booted. */
async function checkHost(description: Description): Promise<CheckReport> {
  const { mistakes, disks, initrdSize } = checkFiles(description);
  const { preview, mistake } = previewOf(description, disks);
  const kernel = await checkKernel(description, { devices: preview?.devices ?? [], initrdSize });
  const all = [...kernel, ...mistakes, ...mistake];
  return all.length > 0 || preview === undefined
    ? { mistakes: all }
    : { mistakes: [], machine: { ...description, ...preview } };
}

function previewOf(
  description: Description,
  disks: FileCheck["disks"],
): { readonly preview?: Preview; readonly mistake: readonly Mistake[] } {
  const { console, serial } = description;
  const none = { input: -1, output: -1 };
  const config = machineOf(description, {
    console: console.backend === "none" ? null : { ...none, escape: false, columns: 80, rows: 24 },
    serial: serial.backend === "none" ? null : none,
  });
  try {
    return { preview: previewMachine(config, { disks }), mistake: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const disk = description.disk.findIndex(({ id }) => id === error.path);
    const key = disk < 0 ? error.path : `disk[${disk}]`;
    return { mistake: [{ key, problem: error.problem, allowed: "fewer devices" }] };
  }
}

/** A file that is no TOML has one mistake: where reading it ended. */
function syntaxMistake(error: ConfigError): Mistake {
  const [, line] = /:(\d+)(?::\d+)?$/.exec(error.path) ?? [];
  return {
    key: "",
    place: error.path,
    ...(line === undefined ? {} : { line: Number(line) }),
    problem: error.problem,
    allowed: "a file of TOML",
  };
}

function printJson({ mistakes, machine }: CheckReport): number {
  print(`${JSON.stringify({ ok: machine !== undefined, mistakes, machine }, null, 2)}\n`);
  return machine === undefined ? EXIT.usage : EXIT.ok;
}

function printText({ mistakes, machine }: CheckReport): number {
  return machine === undefined ? showMistakes(mistakes) : print(machineText(machine));
}

/** Says every mistake on stderr, and gives the exit status. */
export function showMistakes(mistakes: readonly Mistake[]): number {
  for (const mistake of mistakes) {
    const isSyntax = mistake.key === "";
    say(isSyntax ? `${mistake.place}: ${mistake.problem}` : mistakeText(mistake));
  }
  say(`vireo: ${mistakes.length} ${mistakes.length === 1 ? "mistake" : "mistakes"}`);
  return EXIT.usage;
}

/** The machine for people: every key, then what follows from them. */
export function machineText(machine: Description & Preview): string {
  const keys = Object.entries(flatten(machine)).map(([left, right]) => ({
    left: `  ${left}`,
    right,
  }));
  const slots = machine.slots.map(({ slot, address, size }) => ({
    left: `  slot ${slot}`,
    right: `${range(address, size)}, ${sizeText(size)}`,
  }));
  const devices = machine.devices.map(({ id, kind, windows, gsi }) => ({
    left: `  ${id}`,
    right: [
      kind,
      ...windows.map(({ bus, base, size }) => `${bus} ${range(base, size)}`),
      ...(gsi < 0 ? [] : [`interrupt ${gsi}`]),
    ].join(", "),
  }));
  return [
    `Machine "${machine.name}"\n`,
    describeRows(keys),
    "Memory slots\n",
    describeRows(slots),
    "vCPUs\n",
    describeRows([
      { left: "  APIC ids", right: machine.apicIds.join(" ") },
      ...(machine.laterApicIds.length === 0
        ? []
        : [{ left: "  not there", right: machine.laterApicIds.join(" ") }]),
    ]),
    "Devices\n",
    describeRows(devices),
  ].join("");
}

/** Each key of the schema with its value as the file would say it. */
function flatten(machine: Description): Record<string, string> {
  const values: Record<string, string> = {};
  const add = (key: string, type: KeyType, value: unknown) => {
    if (value === undefined) return;
    values[key] = type === "size" ? `"${sizeText(Number(value))}"` : JSON.stringify(value);
  };
  for (const { path, type } of KEYS.filter(({ path }) => !path.startsWith("disk[]"))) {
    const [first = "", name] = path.split(".");
    const table = Reflect.get(machine, first);
    add(path, type, name === undefined ? table : Reflect.get(table, name));
  }
  for (const [index, disk] of machine.disk.entries()) {
    for (const { path, type } of KEYS.filter(({ path }) => path.startsWith("disk[]"))) {
      add(path.replace("[]", `[${index}]`), type, Reflect.get(disk, path.replace("disk[].", "")));
    }
  }
  return values;
}

function range(start: number, size: number): string {
  return `0x${start.toString(16)}-0x${(start + size - 1).toString(16)}`;
}

/** The help of `vireo check`. */
export function checkHelp(): string {
  return `Checks a machine's description and prints the machine; touches no KVM.

Usage: vireo check [CONFIG.toml] [OPTION]...

${describeOptions(CHECK_OPTIONS)}
Keys of the file:
${describeRows(keyHelp())}
Exit status:
${
    describeRows([
      { left: "  0", right: "The machine can be built, as far as that is known without KVM." },
      { left: "  2", right: "There is a mistake in the file, in an option, or in what they name." },
    ])
  }`;
}
