/**
 * One `vireo boot` on this system's KVM: from its options to how it ended.
 *
 * @module
 */

import { stdoutText, VireoError } from "../base/errors.ts";
import type { BootFiles } from "../boot/boot_files.ts";
import { PORT } from "../boot/control_protocol.ts";
import { defaultCommandLine } from "../boot/default_command_line.ts";
import type { GuestTask } from "../boot/guest_init.ts";
import { taskInitramfs } from "../boot/initramfs.ts";
import type { MachineConfig, PortConfig } from "../config/machine_config.ts";
import { buildMachine } from "../machine/builder.ts";
import type { DeviceMessage } from "../machine/events.ts";
import { linuxLoader } from "../machine/linux.ts";
import type { Machine } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import { openResources, type Resources } from "../machine/resources.ts";
import type { BootTimer } from "./boot_timer.ts";
import type { BootOptions } from "./boot_options.ts";
import { endByReport, type GuestEnd } from "./guest_end.ts";
import { GuestReport } from "./guest_report.ts";
import { LateTrim } from "./late_trim.ts";
import { kernelLog, withState } from "./machine_report.ts";
import { say } from "./say.ts";
import { ScratchDisk } from "./scratch_disk.ts";
import type { Stop, StopRequest } from "./stop_request.ts";
import { Terminal } from "./terminal.ts";

/** How a boot ended. */
export type BootEnd =
  | GuestEnd
  | { readonly kind: "command"; readonly status: number }
  | Stop;

/** What a session is made of. */
export interface BootSessionParts {
  readonly options: BootOptions;
  readonly files: BootFiles;
  readonly stop: StopRequest;
  /** Whom to tell how the start went, if anybody. */
  readonly timer?: BootTimer | undefined;
  /** Milliseconds of `--timeout` that were over before. */
  readonly spent: number;
}

/** Runs a guest, again and again where it reboots and that is asked for. */
export async function runBootSession(parts: BootSessionParts): Promise<BootEnd> {
  const { options, stop, spent } = parts;
  using terminal = options.exec === undefined ? new Terminal() : undefined;
  const config = bootConfig(options, terminal);
  using resources = openDisks(config);
  if (options.timeout !== undefined) stop.startTimeout(Math.max(0, options.timeout - spent));
  for (;;) {
    const end = await runGuest({ ...parts, config: resources.config, resources, terminal });
    if (end.kind !== "reboot" || options.onReboot === "exit") return end;
  }
}

/** The machine that the options describe. */
export function bootConfig(
  options: BootOptions,
  terminal: Pick<Terminal, "hasKeys" | "size"> | undefined,
): Partial<MachineConfig> {
  return {
    cpus: options.cpus,
    memory: options.memory,
    serial: { input: -1, output: options.verbose ? STDERR : -1 },
    console: terminal === undefined
      ? null
      : { input: STDIN, output: STDOUT, escape: terminal.hasKeys, ...terminal.size },
    ports: options.exec === undefined ? [CONTROL] : [CONTROL, ...DATA],
    disks: options.disks,
    bootTimer: options.bootTimer,
  };
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const CONTROL: PortConfig = { name: PORT.control, input: -1, output: -1, control: true };
const DATA: readonly PortConfig[] = [
  { name: PORT.stdin, input: STDIN, output: -1, control: false },
  { name: PORT.stdout, input: -1, output: STDOUT, control: false },
  { name: PORT.stderr, input: -1, output: STDERR, control: false },
];

/** Disks stay open over restarts. The scratch disk has no name any more as soon as it is open. */
function openDisks(
  config: Partial<MachineConfig>,
): Resources & { readonly config: Partial<MachineConfig> } {
  const disks = config.disks ?? [];
  using scratch = disks.length > 0 ? undefined : new ScratchDisk();
  const all = scratch === undefined ? disks : [{ path: scratch.path, serial: "scratch" }];
  const resources = openResources({ disks: all }, () => "--disk");
  return { ...resources, config: { ...config, disks: all } };
}

/** One guest from power-on to its end. */
async function runGuest(
  parts: BootSessionParts & {
    readonly config: Partial<MachineConfig>;
    readonly resources: Resources;
    readonly terminal: Terminal | undefined;
  },
): Promise<BootEnd> {
  const { options, files, stop, config, resources, terminal, timer } = parts;
  const report = new GuestReport(files.ownInit, { stop: (end) => stop.request(end), say });
  const loader = linuxLoader({
    kernel: files.kernel,
    initrd: files.ownInit
      ? [files.initrd, taskInitramfs(taskOf(options, terminal))]
      : [files.initrd],
    commandLine: defaultCommandLine({
      ownInit: files.ownInit,
      verbose: options.verbose,
      more: options.cmdline,
    }),
  });
  const owner = {
    message: (_device: string, message: DeviceMessage) => report.hear(message),
    warning: (device: string, text: string) => say(`vireo: ${device}: ${text}`),
  };
  await using machine = await buildMachine(config, { loader, resources, owner });
  using _trim = new LateTrim();
  using _watch = terminal?.watchSize(({ columns, rows }) => machine.resizeConsole(columns, rows));
  try {
    const outcome = await machine.run({ signal: stop.signal, onAbort: "throw" });
    // However slowly its readers take it, what the guest has written is theirs, until somebody asks for an end.
    await Promise.race([machine.flush(Infinity), stop.requested()]);
    return endOf(outcome, report, { machine, options });
  } catch (error) {
    if (stop.stop === undefined) {
      throw withState(error, machine, () => `\nThe guest's kernel log:\n${shownLog(machine)}`);
    }
    // A guest that is late and has not even got to its init: its log says where it is.
    if (stop.stop.kind === "timeout" && !report.ready && !options.verbose) say(shownLog(machine));
    return stop.stop;
  } finally {
    timer?.report(machine.bootMarks());
  }
}

/** What init is to do, and what it says to the one at the terminal. */
export function taskOf(
  options: Pick<BootOptions, "exec" | "cpus" | "memory" | "bootTimer">,
  terminal: Pick<Terminal, "hasKeys"> | undefined,
): GuestTask {
  const timer = options.bootTimer;
  if (options.exec !== undefined) return { command: options.exec, timer };
  const { cpus, memory } = options;
  const machine = `${cpus} ${cpus === 1 ? "vCPU" : "vCPUs"}, ${Math.round(memory / 2 ** 20)} MiB`;
  const keys = terminal?.hasKeys ? ", Ctrl-A x quits, Ctrl-A h helps" : "";
  const name = Deno.env.get("TERM");
  return {
    timer,
    greeting: `, ${machine}; \`exit\` powers off${keys}`,
    ...(name === undefined ? {} : { terminal: name }),
  };
}

/**
 * What an outcome means, given what init has said. Where that is a crash the kernel's log is shown.
 *
 * @throws VireoError `environment` where our stdout did not take all of the command's, whatever its status
 */
function endOf(
  outcome: Outcome,
  report: GuestReport,
  { machine, options }: { readonly machine: Machine; readonly options: BootOptions },
): BootEnd {
  if (report.lost !== undefined) throw new VireoError("environment", stdoutText(report.lost));
  if (report.status !== undefined) return { kind: "command", status: report.status };
  const end = endByReport(outcome, report);
  if (end.kind === "crashed" && !options.verbose) say(shownLog(machine));
  return end;
}

function shownLog(machine: Machine): string {
  return kernelLog(machine) || "vireo: the guest's kernel logged nothing";
}
