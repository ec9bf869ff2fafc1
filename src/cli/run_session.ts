/**
 * One `vireo run` on this system's KVM: from a description to how it ended.
 *
 * @module
 */

import type { Description, EndAction } from "../config/description.ts";
import { machineOf } from "../config/machine_of.ts";
import type { MachineConfig } from "../config/machine_config.ts";
import { Fd } from "../host/fd.ts";
import { write } from "../host/file.ts";
import { nameThread } from "../host/thread.ts";
import { buildMachine } from "../machine/builder.ts";
import type { DeviceMessage } from "../machine/events.ts";
import type { Machine } from "../machine/machine.ts";
import { openResources, type Resources } from "../machine/resources.ts";
import { openBackends } from "../library/backends.ts";
import { kernelLoader } from "../library/create_machine.ts";
import type { BootTimer } from "./boot_timer.ts";
import { endByLog, type GuestEnd } from "./guest_end.ts";
import { LateTrim } from "./late_trim.ts";
import { kernelLog, withState } from "./machine_report.ts";
import type { RunLog } from "./run_log.ts";
import type { Stop, StopRequest } from "./stop_request.ts";
import { Terminal } from "./terminal.ts";

/** How a run ended. */
export type RunEnd = GuestEnd | Stop;

/** What a run is made of. */
export interface RunParts {
  readonly description: Description;
  readonly log: RunLog;
  readonly stop: StopRequest;
  /** Whom to tell how the start went, if anybody. */
  readonly timer?: BootTimer | undefined;
  /** Descriptor that is told, once, when the guest starts. */
  readonly readyFd?: number | undefined;
}

/** A run with everything opened. */
interface OpenRun extends RunParts {
  readonly config: Partial<MachineConfig>;
  readonly resources: Resources;
  readonly terminal: Terminal | undefined;
  readonly ready: Fd | undefined;
}

/** Runs a guest, again where the description says so. */
export async function runSession(parts: RunParts): Promise<RunEnd> {
  const { description, log, stop } = parts;
  nameThread(description.name);
  const { console, serial } = description;
  const onSerial = serial.backend === "stdio";
  const isOurs = console.backend === "stdio" || onSerial;
  using terminal = isOurs ? new Terminal({ signals: onSerial }) : undefined;
  using backends = openBackends(description, terminal);
  const { timer } = parts;
  const config = { ...machineOf(description, backends), bootTimer: timer !== undefined };
  using resources = openResources({ disks: [], ...config }, (index) => `disk[${index}].path`);
  for (const [what, path] of Object.entries(backends.ptys)) log.info(`The ${what} is ${path}`);
  using ready = parts.readyFd === undefined ? undefined : new Fd(parts.readyFd);
  for (;;) {
    const end = await runGuest({ ...parts, config, resources, terminal, ready });
    if (actionFor(end, description) === "exit") return end;
    log.info(`${sentenceOf(end)}; starting it again`);
    if (end.kind === "crashed") await pause(stop.signal);
    if (stop.stop !== undefined) return stop.stop;
  }
}

/** What the description says about an end; what was asked from outside ends the run. */
export function actionFor(end: RunEnd, { machine }: Pick<Description, "machine">): EndAction {
  switch (end.kind) {
    case "powered-off":
      return machine.on_poweroff;
    case "reboot":
      return machine.on_reboot;
    case "crashed":
      return machine.on_crash;
    case "quit":
    case "signal":
    case "timeout":
      return "exit";
    default:
      throw end satisfies never;
  }
}

/** An end in a sentence. */
export function sentenceOf(end: RunEnd): string {
  switch (end.kind) {
    case "powered-off":
      return "The guest powered off";
    case "reboot":
      return "The guest rebooted";
    case "crashed":
      return end.text;
    case "quit":
      return "Quit";
    case "signal":
      return `Ended by ${end.signal}`;
    case "timeout":
      return "No end within --timeout";
    default:
      throw end satisfies never;
  }
}

/** One guest from power-on to its end. */
async function runGuest(run: OpenRun): Promise<RunEnd> {
  const { description, log, stop, config, resources, terminal, timer, ready } = run;
  const loader = kernelLoader(description.kernel);
  const owner = {
    message: (_device: string, message: DeviceMessage) => {
      if (message["key"] === "quit") stop.request({ kind: "quit" });
    },
    warning: (device: string, text: string) => log.warn(text, device),
  };
  await using machine = await buildMachine(config, { loader, resources, owner });
  if (ready?.closed === false) tellReady(ready);
  using _trim = new LateTrim();
  using _watch = terminal?.watchSize(({ columns, rows }) => machine.resizeConsole(columns, rows));
  try {
    const outcome = await machine.run({ signal: stop.signal, onAbort: "throw" });
    // However slowly its readers take it, what the guest has written is theirs, until somebody asks for an end. A pseudo-terminal
    // may have none: its buffer is what they get.
    const isLeft = description.console.backend === "pty";
    if (!isLeft) await Promise.race([machine.flush(Infinity), stop.requested()]);
    const end = endByLog(outcome, new TextDecoder().decode(machine.serialLog()));
    if (end.kind === "crashed") showKernelLog(run, machine);
    return end;
  } catch (error) {
    if (stop.stop === undefined) throw withState(error, machine);
    return stop.stop;
  } finally {
    timer?.report(machine.bootMarks());
  }
}

/** Says that everything is built; whoever waits for it may be gone. */
function tellReady(ready: Fd): void {
  write(ready.number, new TextEncoder().encode("ready\n"));
  ready.close();
}

/** Where the serial port is kept for this moment alone, its last lines. */
function showKernelLog({ description, log }: OpenRun, machine: Machine): void {
  if (description.serial.backend !== "log") return;
  log.error(kernelLog(machine) || "The guest's kernel logged nothing");
}

const CRASH_PAUSE = 1000;

/** A guest that crashes at once is not started again as fast as that. */
function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, CRASH_PAUSE);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
