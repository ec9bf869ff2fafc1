/**
 * The QEMU process of a rig: its command line, its life, its console.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import { hostTscKhz } from "../kvm/host_tsc.ts";
import type { RigBase } from "./base.ts";
import { type Mount, mountTag } from "./init.ts";

/** What a QEMU is started with. */
export interface QemuOptions {
  /** Kernel, initramfs and root of L1. */
  readonly base: RigBase;
  /** Memory of L1 as QEMU takes it, `3G`. */
  readonly memory: string;
  /** Folder that L1 sees at /run/rig. */
  readonly shared: string;
  /** More folders for L1. */
  readonly mounts: readonly Mount[];
  /** Unix socket on which we listen for the agent's byte stream. */
  readonly socket: string;
  /** Unix socket on which QEMU's monitor is to listen. */
  readonly monitor: string;
  /** File for L1's console. */
  readonly console: string;
}

/**
 * One processor, because QEMU emulates several by threads that get in each other's way: one may translate the `int3` that Linux puts
 * for a moment into code that it changes, and keep it for ever; and at an exit of a nested guest, interrupts that another sends just
 * then are lost. No `cmpxchg16b`, because QEMU 7.2 leaves arbitrary flags after it, with which Linux 6.12 crashes within seconds.
 */
const MACHINE = [
  ...["-machine", "q35", "-accel", "tcg", "-smp", "1"],
  ...["-cpu", "EPYC,+svm,+npt,-cx16,-xsave,-avx,-avx2,-f16c,-fma,check=off"],
  ...["-display", "none", "-no-reboot", "-nodefaults", "-no-user-config"],
];

/** On a busy host QEMU's timer may be too late for the kernel's check of it, which then panics: no_timer_check. */
const COMMAND_LINE = "console=ttyS0 reboot=t panic=-1 loglevel=5 nokaslr mitigations=off " +
  "tsc=reliable no_timer_check";

/** Lines of the console that an error shows: this many at its end, more where a kernel's last words begin before them. */
const REPORT_LINES = 40;
const LAST_WORDS_LINES = 200;

/** A running QEMU. It dies with the thread that started it, whatever that one dies of. */
export class Qemu implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #console: Deno.FsFile;
  readonly #complaints: Promise<string>;
  #lastConsole: string | undefined;

  /** Starts it; `setpriv` and QEMU are installed (./base.ts). */
  constructor(options: QemuOptions) {
    // Opened before QEMU opens it: the console stays readable when the file's name is gone.
    this.#console = Deno.openSync(options.console, { read: true, write: true, createNew: true });
    const command = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "qemu-system-x86_64", ...qemuArguments(options)],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    this.#child = command.spawn();
    this.#complaints = new Response(this.#child.stderr).text().catch(errorText);
  }

  /** Process id of QEMU. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Settles when QEMU has ended. */
  get ended(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** L1's console so far. */
  console(): string {
    if (this.#lastConsole !== undefined) return this.#lastConsole;
    const bytes = new Uint8Array(this.#console.statSync().size);
    this.#console.seekSync(0, Deno.SeekMode.Start);
    const length = this.#console.readSync(bytes) ?? 0;
    return new TextDecoder().decode(bytes.subarray(0, length));
  }

  /** An error about L1 that tells how QEMU ended and the last lines of the console. Ends QEMU. */
  async report(what: string, cause?: unknown): Promise<VireoError> {
    await this[Symbol.asyncDispose]();
    const tail = lastWords(this.console());
    const complaints = (await this.#complaints).trim();
    const parts = [
      what,
      cause === undefined ? "" : `Cause: ${errorText(cause)}`,
      complaints === "" ? "" : `QEMU says: ${complaints}`,
      tail === "" ? "The rig's console is empty" : `Last lines of the rig's console:\n${tail}`,
    ];
    return new VireoError("environment", parts.filter((part) => part !== "").join("\n"), { cause });
  }

  /** Kills QEMU and waits for its end; the console stays known. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    if (this.#lastConsole !== undefined) return;
    this.#lastConsole = this.console();
    this.#console.close();
  }
}

/** The end of a console: its last lines, from a kernel's panic on where there was one. */
export function lastWords(console: string): string {
  const lines = console.trimEnd().split(/\r?\n/).slice(-LAST_WORDS_LINES);
  const panic = lines.findIndex((line) => line.includes("Kernel panic"));
  const end = lines.length - REPORT_LINES;
  return lines.slice(Math.max(0, panic < 0 ? end : Math.min(panic, end))).join("\n");
}

/**
 * L1's command line. Its TSC is the host's: told how fast that is, L1 does not measure it against QEMU's timers, by which its clock
 * would be wrong on a busy host.
 *
 * @param tscKhz the host's, in kHz, where it is known
 */
export function kernelCommandLine(tscKhz: number | undefined): string {
  return tscKhz === undefined ? COMMAND_LINE : `${COMMAND_LINE} tsc_early_khz=${tscKhz}`;
}

function qemuArguments(options: QemuOptions): string[] {
  return [
    ...MACHINE,
    ...["-m", options.memory],
    ...["-kernel", options.base.kernel, "-initrd", options.base.initramfs],
    ...["-append", kernelCommandLine(hostTscKhz())],
    ...["-serial", `file:${options.console}`],
    ...["-monitor", `unix:${escapeOption(options.monitor)},server=on,wait=off`],
    ...["-chardev", `socket,id=agent,path=${escapeOption(options.socket)}`],
    ...["-device", "virtio-serial-pci"],
    ...["-device", "virtserialport,chardev=agent,name=agent"],
    ...share("root", options.base.root, true),
    ...share("rig", options.shared, true),
    ...options.mounts.flatMap(({ path, mode }, index) =>
      share(mountTag(index), path, mode !== "shared")
    ),
  ];
}

function share(tag: string, path: string, readOnly: boolean): string[] {
  const options = [
    `local,id=${tag},path=${escapeOption(path)}`,
    "security_model=none",
    "multidevs=remap",
    ...readOnly ? ["readonly=on"] : [],
  ];
  return ["-fsdev", options.join(","), "-device", `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`];
}

/** A value inside a comma-separated option of QEMU's. */
function escapeOption(value: string): string {
  return value.replaceAll(",", ",,");
}
