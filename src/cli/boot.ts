/**
 * The command `vireo boot`: Linux on this terminal, or one command in it.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { type BootFiles, findBootFiles } from "../boot/boot_files.ts";
import { type HostKvm, hostKvm } from "../kvm/host_kvm.ts";
import { requirePlatform } from "../kvm/kvm.ts";
import { BootTimer } from "./boot_timer.ts";
import { BOOT_FILES_VARIABLE } from "./rig_names.ts";
import { bootHelp, type BootOptions, parseBootOptions } from "./boot_options.ts";
import type { BootEnd } from "./boot_session.ts";
import { EXIT, explain, statusOfError, statusOfMachine } from "./exit_status.ts";
import { printHelp, ProgressLine, say } from "./say.ts";
import { StopRequest } from "./stop_request.ts";

/**
 * Runs the command.
 *
 * @param args what stands behind `boot`
 * @returns the exit status
 */
export async function boot(args: readonly string[]): Promise<number> {
  // Known before the options are parsed, which may fail.
  const hasCommand = args.some((arg) => arg === "--exec" || arg.startsWith("--exec="));
  const ours = (status: number) => hasCommand ? EXIT.notTheCommand : status;
  try {
    const options = parseBootOptions(args);
    return options.help ? printHelp(bootHelp()) : await bootWith(options);
  } catch (error) {
    say(`vireo: ${explain(error)}`);
    return ours(statusOfError(error));
  }
}

async function bootWith(options: BootOptions): Promise<number> {
  requirePlatform();
  const timer = options.bootTimer ? new BootTimer() : undefined;
  using stop = new StopRequest((reason) => Deno.exit(finish(reason, options)));
  const kvm = hostKvm();
  const inRig = options.rig === "always" || (options.rig === "auto" && kvm.kind !== "full");
  if (!inRig) requireFit(kvm);
  const outside = filesFromOutside();
  using holding = new DisposableStack();
  const files = outside ?? await findFiles(options, stop, holding);
  if (files === undefined) return finish(stop.stop ?? { kind: "quit" }, options);
  if (!inRig) {
    const { runBootSession } = await import("./boot_session.ts");
    // The Vireo outside counts from when it started us.
    const spent = outside === undefined ? 0 : performance.now();
    return finish(await runBootSession({ options, files, stop, spent, timer }), options);
  }
  const reason = options.rig === "always" ? "as --rig=always says" : `since ${kvm.reason}`;
  say(`vireo: booting in the rig, a KVM that QEMU emulates, ${reason}`);
  const { bootInRig } = await import("./boot_in_rig.ts");
  return await bootInRig(options, files, stop) ?? finish(stop.stop ?? { kind: "quit" }, options);
}

/** In the rig, what the Vireo outside has found. */
function filesFromOutside(): BootFiles | undefined {
  const text = Deno.env.get(BOOT_FILES_VARIABLE);
  return text === undefined ? undefined : JSON.parse(text);
}

/**
 * Sees that this KVM runs Linux.
 *
 * @throws VireoError `open` where there is none for us, `compat` for one that emulates instructions
 */
export function requireFit({ kind, reason, remedy }: HostKvm): void {
  if (kind === "full") return;
  throw new VireoError(
    kind === "none" ? "open" : "compat",
    `Cannot boot Linux on this system's KVM: ${reason}; ` +
      `${remedy === undefined ? "" : `${remedy}; or `}leave --rig=never out`,
  );
}

/** Undefined where the user changed their mind meanwhile. */
async function findFiles(
  options: BootOptions,
  stop: StopRequest,
  holding: DisposableStack,
): Promise<BootFiles | undefined> {
  using progress = new ProgressLine();
  const { kernel, initrd } = options;
  try {
    return await findBootFiles({
      progress: progress.show,
      signal: stop.signal,
      holding,
      ...(kernel === undefined ? {} : { kernel }),
      ...(initrd === undefined ? {} : { initrd }),
    });
  } catch (error) {
    if (stop.stop !== undefined) return undefined;
    throw error;
  }
}

/** Says how it ended where the status alone would not tell, and gives the status. */
function finish(end: BootEnd, options: BootOptions): number {
  const text = sentenceOf(end, options);
  if (text !== undefined) say(`vireo: ${text}`);
  return statusOfEnd(end, options);
}

function sentenceOf(end: BootEnd, options: BootOptions): string | undefined {
  const hasCommand = options.exec !== undefined;
  switch (end.kind) {
    case "command":
      return undefined;
    case "quit":
      return hasCommand ? "Quit before the command's end" : undefined;
    case "powered-off":
      return hasCommand ? "The guest powered off before the command's end" : undefined;
    case "reboot":
      return hasCommand ? "The guest rebooted before the command's end" : "The guest rebooted";
    case "crashed":
      return end.text;
    case "timeout":
      return `No end within --timeout of ${(options.timeout ?? 0) / 1000} s`;
    case "signal":
      return `Ended by ${end.signal}`;
    default:
      throw end satisfies never;
  }
}

/** The exit status for an end. With a command everything but its own end, and a signal, is 125. */
export function statusOfEnd(end: BootEnd, options: Pick<BootOptions, "exec">): number {
  if (end.kind === "command") return end.status;
  if (end.kind !== "signal" && options.exec !== undefined) return EXIT.notTheCommand;
  return statusOfMachine(end);
}
