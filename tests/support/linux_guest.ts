/**
 * Linux guests for tests: each runs one shell command, with the library, in this process.
 *
 * Imported by files of `tests/linux` alone, at whose top it opens libc: what is first opened inside a test counts as its leak.
 *
 * @module
 */

import { O_CREAT, O_RDONLY, O_RDWR } from "../../src/abi/linux.ts";
import { errorText } from "../../src/base/errors.ts";
import { type BootFiles, findBootFiles, KERNEL_PACKAGE } from "../../src/boot/boot_files.ts";
import { parseControlLine, PORT } from "../../src/boot/control_protocol.ts";
import { defaultCommandLine } from "../../src/boot/default_command_line.ts";
import { taskInitramfs } from "../../src/boot/initramfs.ts";
import { fetchPackages } from "../../src/boot/packages.ts";
import type { EntryChoice } from "../../src/boot/linux_loader.ts";
import type { MachineConfig, PortConfig } from "../../src/config/machine_config.ts";
import { Fd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { DeviceMessage } from "../../src/machine/events.ts";
import { linuxLoader } from "../../src/machine/linux.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import type { Resources } from "../../src/machine/resources.ts";
import type { StartOrder } from "../../src/machine/vcpu_setup.ts";
import { pause } from "./pause.ts";
import { duration, progress } from "./progress.ts";
import { type Need, type Requirement, requirement } from "./require.ts";

/** A guest to run. */
export interface GuestPlan {
  /** Command for the guest's `sh`. */
  readonly command: string;
  /** What is booted, by which entry; the usual kernel where absent. */
  readonly kernel?: {
    readonly kernel: string;
    readonly initrd: string;
    readonly entry?: EntryChoice;
  };
  /** What the machine has besides the ports; one vCPU and 256 MiB where that says nothing. */
  readonly config?: Partial<MachineConfig>;
  /** Opened disks that the machine shares with another. */
  readonly resources?: Resources;
  /** What starts first; what has the guest run soonest where absent. */
  readonly startOrder?: StartOrder;
  /** Kernel parameters behind the usual ones. */
  readonly parameters?: string;
  /** What the command reads. */
  readonly stdin?: Uint8Array | string;
  /** What to make of the kernel's loader. */
  readonly wrapLoader?: (loader: Loader) => Loader;
  /** Called once, when init has reported in; the guest's end waits for it. */
  readonly whenReady?: (machine: Machine) => void | Promise<void>;
}

/** What became of it. */
export interface GuestRun {
  readonly outcome: Outcome;
  /** Of the command; undefined where it had no end of its own. */
  readonly status: number | undefined;
  /** Whether init reported in. */
  readonly ready: boolean;
  /** What the command wrote. */
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
  /** What the kernel wrote to the serial port. */
  readonly log: string;
  /** What devices complained about. */
  readonly warnings: readonly string[];
}

/** Longest that any guest may take, in ms: the rig on a busy machine is slow. */
const BOUND = 240_000;

/** {@linkcode requirement} for tests that run Linux here. */
export function linuxRequirement(...needs: readonly Need[]): Requirement {
  const options = requirement("full-kvm", ...needs);
  if (!options.ignore) openAllGroups();
  return options;
}

/** A kernel and an initramfs, looked for once. The runner has put them into the cache. */
export const bootFiles: () => Promise<BootFiles> = once(() => findBootFiles({ progress }));

/** The same kernel packed, as a bzImage: {@linkcode bootFiles} has it unpacked where that can be done. */
export const packedBootFiles: () => Promise<BootFiles> = once(async () => {
  const fetched = (await fetchPackages([KERNEL_PACKAGE], { progress })).get(KERNEL_PACKAGE);
  const boot = `${fetched?.root}/boot`;
  const names = await Array.fromAsync(Deno.readDir(boot));
  const image = names.find(({ name }) => name.startsWith("vmlinuz-"));
  return await findBootFiles({ kernel: `${boot}/${image?.name}`, progress });
});

/** Runs a guest from power-on until it ends by itself. */
export async function runGuest(plan: GuestPlan): Promise<GuestRun> {
  const started = performance.now();
  using channels = new Channels(plan.stdin ?? "");
  const ear = new Ear();
  const files: NonNullable<GuestPlan["kernel"]> = plan.kernel ?? await bootFiles();
  const { kernel, initrd, entry = "auto" } = files;
  const more = plan.parameters ?? "";
  const { wrapLoader = (loader) => loader } = plan;
  const loader = wrapLoader(linuxLoader({
    kernel,
    entry,
    initrd: [initrd, taskInitramfs({ command: plan.command })],
    commandLine: defaultCommandLine({ ownInit: true, verbose: false, more }),
  }));
  const config = { memory: 256 * 2 ** 20, ...plan.config, ports: channels.ports };
  const { resources, startOrder } = plan;
  const given = {
    ...(resources === undefined ? {} : { resources }),
    ...(startOrder === undefined ? {} : { startOrder }),
  };
  await using machine = await buildMachine(config, { loader, owner: ear, ...given });
  const visited = ear.ready.then(() => plan.whenReady?.(machine));
  visited.catch(() => {});
  const outcome = await runBounded(machine, ear);
  if (ear.isReady) await visited;
  const log = textOf(machine.serialLog());
  await machine.close();
  progress(`Linux guest: ${duration(performance.now() - started)}, ${outcome.text}`);
  return {
    outcome,
    status: ear.status,
    ready: ear.isReady,
    ...channels.read(),
    log,
    warnings: ear.warnings,
  };
}

/** The command's output as text; throws, with all that is known, where the guest did not end by power-off after status 0. */
export async function askGuest(plan: GuestPlan): Promise<string> {
  const run = await runGuest(plan);
  if (run.outcome.reason === "powered-off" && run.status === 0) return textOf(run.stdout);
  throw new Error(
    `The guest ended otherwise: ${run.outcome.text}, status ${run.status}\n${run.stderr}\n${run.log}`,
  );
}

/** Bytes as text. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A function that does its work at the first call and gives the same result ever after. */
export function once<Result>(work: () => Result): () => Result {
  let done: { readonly result: Result } | undefined;
  return () => (done ??= { result: work() }).result;
}

async function runBounded(machine: Machine, ear: Ear): Promise<Outcome> {
  const bound = new AbortController();
  const late = async () => {
    const log = textOf(machine.serialLog());
    const told = `Init has ${ear.isReady ? "" : "not "}reported in, status ${ear.status}`;
    const text = `The guest did not end within ${duration(BOUND)}\n${told}\n${ear.warnings}`;
    bound.abort(new Error(`${text}\n${await standing(machine)}\nIts log:\n${log}`));
  };
  const timer = setTimeout(() => void late(), BOUND);
  try {
    return await machine.run({ signal: bound.signal, onAbort: "throw" });
  } finally {
    clearTimeout(timer);
  }
}

/** Where each vCPU stands, at two moments: one that halts for ever does not move. */
async function standing(machine: Machine): Promise<string> {
  const places: string[] = [];
  try {
    for (let moment = 0; moment < 2; moment++) {
      await machine.pause();
      places.push(...machine.vcpuStates.map((_, index) => {
        const { rip, rflags } = machine.registers(index);
        return `vCPU ${index} at rip 0x${rip.toString(16)}, rflags 0x${rflags.toString(16)}`;
      }));
      await machine.resume();
      await pause(500);
    }
  } catch (error) {
    places.push(errorText(error));
  }
  return places.join("\n");
}

/** Files behind the ports: unlike pipes they take any amount while nobody reads. */
class Channels implements Disposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "vireo-guest-" });
  readonly #fds = new DisposableStack();
  readonly ports: readonly PortConfig[];

  constructor(stdin: Uint8Array | string) {
    const bytes = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
    Deno.writeFileSync(`${this.#folder}/stdin`, bytes);
    const input = this.#fds.use(Fd.open(`${this.#folder}/stdin`, O_RDONLY)).number;
    const [stdout, stderr] = ["stdout", "stderr"].map((name) =>
      this.#fds.use(Fd.open(`${this.#folder}/${name}`, O_RDWR | O_CREAT)).number
    );
    this.ports = [
      { name: PORT.control, input: -1, output: -1, control: true },
      { name: PORT.stdin, input, output: -1, control: false },
      { name: PORT.stdout, input: -1, output: stdout ?? -1, control: false },
      { name: PORT.stderr, input: -1, output: stderr ?? -1, control: false },
    ];
  }

  read(): Pick<GuestRun, "stdout" | "stderr"> {
    return {
      stdout: Deno.readFileSync(`${this.#folder}/stdout`),
      stderr: Deno.readTextFileSync(`${this.#folder}/stderr`),
    };
  }

  [Symbol.dispose](): void {
    this.#fds.dispose();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** Hears what the guest's init and the devices say. */
class Ear {
  readonly warnings: string[] = [];
  status: number | undefined;
  isReady = false;
  readonly #ready = Promise.withResolvers<void>();

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  message(_device: string, message: DeviceMessage): void {
    const said = parseControlLine(String(message["line"]));
    if (said.kind === "ready") {
      this.isReady = true;
      this.#ready.resolve();
    } else if (said.kind === "exit") this.status = said.status;
    else this.warnings.push(`The guest's init sent ${said.text}`);
  }

  warning(device: string, text: string): void {
    this.warnings.push(`${device}: ${text}`);
  }
}
