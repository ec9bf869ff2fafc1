/**
 * The command `vireo run`: a described machine on this system's KVM.
 *
 * @module
 */

import { ConfigError, VireoError } from "../base/errors.ts";
import { kernelRelease } from "../boot/kernel_release.ts";
import type { Description } from "../config/description.ts";
import {
  BOOT_TIMER,
  MACHINE_OPTIONS,
  type MachineOptions,
  splitFile,
} from "../config/machine_options.ts";
import {
  describeOptions,
  describeRows,
  HELP,
  type OptionTable,
  parseOptions,
} from "../config/options.ts";
import { parseDuration } from "../config/units.ts";
import { isOpen } from "../host/fd.ts";
import { type HostKvm, hostKvm } from "../kvm/host_kvm.ts";
import { requirePlatform } from "../kvm/kvm.ts";
import { BootTimer } from "./boot_timer.ts";
import { checkMachine, showMistakes } from "./check.ts";
import { EXIT, explain, statusOfError, statusOfMachine } from "./exit_status.ts";
import { RunLog } from "./run_log.ts";
import { printHelp, say } from "./say.ts";
import { StopRequest } from "./stop_request.ts";

/** What it can be told. */
export interface RunOptions extends MachineOptions {
  /** Milliseconds, or undefined. */
  readonly timeout: number | undefined;
  readonly bootTimer: boolean;
  /** Descriptor that is told when the machine is ready, or undefined. */
  readonly readyFd: number | undefined;
  readonly help: boolean;
}

/** Its options. */
export const RUN_OPTIONS: OptionTable<RunOptions> = {
  ...MACHINE_OPTIONS,
  timeout: {
    flag: "--timeout",
    value: "TIME",
    help: "Ends the guest after this time: 30s, 5m; seconds where no unit is given.",
    initial: undefined,
    parse: (text) => parseDuration(text, "--timeout"),
  },
  bootTimer: BOOT_TIMER,
  readyFd: {
    flag: "--ready-fd",
    value: "N",
    help: "Writes the line `ready` to this descriptor, and closes it, once the guest starts.",
    initial: undefined,
    parse: parseReadyFd,
  },
  help: HELP,
};

/**
 * Runs the command.
 *
 * @param args what stands behind `run`
 * @returns the exit status
 */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const { file, rest } = splitFile(RUN_OPTIONS, args);
    const options = parseOptions(RUN_OPTIONS, rest);
    if (options.help) return printHelp(runHelp());
    requirePlatform();
    const timer = options.bootTimer ? new BootTimer() : undefined;
    const { machine, mistakes } = await checkMachine(file, options);
    if (machine === undefined) return showMistakes(mistakes);
    const warning = await requireFit(hostKvm(), machine.kernel.path);
    const { timeout, readyFd } = options;
    return await runMachine(machine, { timeout, timer, warning, readyFd });
  } catch (error) {
    say(`vireo: ${explain(error)}`);
    return statusOfError(error);
  }
}

/**
 * Sees that this KVM runs the kernel. One that emulates instructions is slower on Linux than anybody waits for, and stops at some;
 * it may do for what is no Linux.
 *
 * @returns what to warn of
 * @throws VireoError `compat` for Linux on one that does not run it
 */
export async function requireFit(
  { kind, reason }: HostKvm,
  kernel: string,
): Promise<string | undefined> {
  // Where there is none the machine's first stage says what to do.
  if (kind !== "paravirtual") return undefined;
  if (await kernelRelease(kernel) === undefined) {
    return `This system's KVM emulates instructions, and not all of them: ${reason}`;
  }
  throw new VireoError(
    "compat",
    `Cannot run Linux on this system's KVM: ${reason}; use a host with vmx or svm, or try \`vireo boot\`, which brings a KVM of its own`,
  );
}

async function runMachine(
  description: Description,
  { timeout, timer, warning, readyFd }: {
    readonly timeout: number | undefined;
    readonly warning: string | undefined;
    readonly timer: BootTimer | undefined;
    readonly readyFd: number | undefined;
  },
): Promise<number> {
  using log = new RunLog(description);
  using stop = new StopRequest((reason) => Deno.exit(statusOfMachine(reason)));
  if (timeout !== undefined) stop.startTimeout(timeout);
  if (warning !== undefined) log.warn(warning);
  const { runSession, sentenceOf } = await import("./run_session.ts");
  try {
    const end = await runSession({ description, log, stop, timer, readyFd });
    const status = statusOfMachine(end);
    if (status === EXIT.ok) log.info(sentenceOf(end));
    else log.error(sentenceOf(end));
    return status;
  } catch (error) {
    log.error(explain(error));
    return statusOfError(error);
  }
}

function parseReadyFd(text: string): number {
  const descriptor = /^\d{1,7}$/.test(text) ? Number(text) : -1;
  if (descriptor > 2 && isOpen(descriptor)) return descriptor;
  throw new ConfigError(
    "--ready-fd",
    `"${text}" is no descriptor above 2 that this process was started with`,
  );
}

/** The help of `vireo run`. */
export function runHelp(): string {
  return `Runs a machine that a file or flags describe, on this system's KVM.

Usage: vireo run CONFIG.toml [OPTION]...
       vireo run --kernel PATH [OPTION]...

${describeOptions(RUN_OPTIONS)}
Options count more than the file. On the console Ctrl-A x ends the guest and
Ctrl-A h helps; on a serial port on stdio Ctrl-C ends it. The file's keys are listed by \`vireo check --help\`.

Exit status:
${
    describeRows([
      { left: "  0", right: "The guest powered off, or Ctrl-A x was typed." },
      { left: "  1", right: "Our own fault; the state is printed." },
      { left: "  2", right: "A mistake in the file, in an option, or in what they name." },
      { left: "  3", right: "KVM is missing or unfit." },
      { left: "  4", right: "The guest crashed: a panic, a triple fault, or a KVM error." },
      { left: "  5", right: "--timeout is over." },
      { left: "  6", right: 'The guest rebooted, with machine.on_reboot = "exit".' },
      { left: "  128+n", right: "Signal n ended us." },
    ])
  }`;
}
