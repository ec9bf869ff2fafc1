/**
 * `vireo boot` where this system's KVM can't: the same command in the rig, on our streams and terminal.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import type { BootFiles } from "../boot/boot_files.ts";
import { isGzip, unzipKernel } from "../boot/gzip_kernel.ts";
import { KernelError } from "../boot/kernel_error.ts";
import { parseKernel } from "../boot/kernel_image.ts";
import { OpenKernel } from "../boot/open_kernel.ts";
import { openResources } from "../machine/resources.ts";
import { runAttached } from "../rig/attach.ts";
import type { Mount } from "../rig/init.ts";
import { Rig, type RigOptions } from "../rig/rig.ts";
import { dirname, fromFileUrl, resolve } from "../std/path.ts";
import { AGENT_COMMAND, BOOT_FILES_VARIABLE } from "./rig_names.ts";
import { bootArguments, type BootOptions } from "./boot_options.ts";
import { EXIT } from "./exit_status.ts";
import { ProgressLine, say } from "./say.ts";
import type { StopRequest } from "./stop_request.ts";

/**
 * Runs the command in a rig of its own. Gives its exit status, 3 (or 125 with a command) where there can be no rig; undefined where
 * `stop` was asked for before the rig was up. From then on the signals are the command's.
 */
export async function bootInRig(
  given: BootOptions,
  foundFiles: BootFiles,
  stop: StopRequest,
): Promise<number | undefined> {
  // Told here what is wrong with a disk or kernel, not from within the rig after its start; disks are locked, which no lock in
  // the rig can do.
  using _disks = openResources(given, () => "--disk");
  const { options, files } = realPaths(given, foundFiles);
  const mounts = rigMounts(options, files);
  await requireKernel(files.kernel);
  let rig: Rig;
  try {
    using progress = new ProgressLine();
    if (Deno.stderr.isTerminal()) progress.show("Starting the rig");
    const { signal } = stop;
    rig = await Rig.start({ ...OURSELVES.rig, mounts, progress: progress.show, signal });
  } catch (error) {
    if (stop.stop !== undefined) return undefined;
    say(`vireo: Cannot start the rig: ${errorText(error)}`);
    return options.exec === undefined ? EXIT.kvm : EXIT.notTheCommand;
  }
  await using running = rig;
  stop[Symbol.dispose]();
  const { timeout } = options;
  const attached = {
    cwd: OURSELVES.rig.project,
    env: { [BOOT_FILES_VARIABLE]: JSON.stringify(files) },
    ...(timeout === undefined ? {} : { deadline: AbortSignal.timeout(timeout) }),
  };
  const status = runAttached(running, rigCommand(options), attached);
  if (timeout === undefined) return await status;
  return await Promise.race([status, lateStatus(options, timeout)]);
}

/** How long the Vireo in the rig gets beyond --timeout: to be started, to end the guest, and to be read, in ms. */
const RIG_GRACE = 6000;

/** The status of one that does not come back in time, since nobody reads its output. */
async function lateStatus({ exec }: BootOptions, timeout: number): Promise<number> {
  await new Promise((resolve) => Deno.unrefTimer(setTimeout(resolve, timeout + RIG_GRACE)));
  say(`vireo: No end within --timeout of ${timeout / 1000} s, or nobody reads the output`);
  return exec === undefined ? EXIT.timeout : EXIT.notTheCommand;
}

/** How Vireo is started in the rig, and what the rig needs of it. */
interface Ourselves {
  readonly command: readonly string[];
  readonly rig: Pick<RigOptions, "project" | "agent">;
}

const OURSELVES: Ourselves = Deno.build.standalone ? executable() : sourceTree();

/** The one file is program and agent. */
function executable(): Ourselves {
  const path = Deno.execPath();
  return { command: [path], rig: { project: dirname(path), agent: [path, AGENT_COMMAND] } };
}

function sourceTree(): Ourselves {
  const project = fromFileUrl(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const main = fromFileUrl(new URL("../main.ts", import.meta.url));
  const flags = ["--allow-all", "--no-check", "--no-lock", "--cached-only", "--quiet"];
  return { command: [Deno.execPath(), "run", ...flags, main], rig: { project } };
}

/** Ourselves again. */
function rigCommand(options: BootOptions): string[] {
  return [...OURSELVES.command, "boot", ...bootArguments({ ...options, rig: "never" })];
}

/**
 * Sees that a file is a kernel.
 *
 * @throws VireoError `load_memory` where it is none, or cannot be read
 */
async function requireKernel(path: string): Promise<void> {
  try {
    using opened = new OpenKernel(path);
    parseKernel(isGzip(opened) ? await unzipKernel(opened) : opened);
  } catch (error) {
    if (error instanceof KernelError) throw error;
    const message = `Cannot read kernel "${path}": ${errorText(error)}`;
    throw new VireoError("load_memory", message, { cause: error });
  }
}

/** The folders of all that is booted, under their own paths. */
export function rigMounts(options: Pick<BootOptions, "disks">, files: BootFiles): Mount[] {
  const mounts = new Map<string, Mount>();
  const add = (file: string, mode: Mount["mode"]) => {
    const path = dirname(resolve(file));
    if (path === "/" || /^\/(dev|proc|sys|run)(\/|$)/.test(path)) {
      throw new VireoError("config", `The rig cannot share "${file}"; copy it to another folder`);
    }
    if (mounts.get(path)?.mode !== "shared") mounts.set(path, { path, mode });
  };
  add(files.kernel, "constant");
  add(files.initrd, "constant");
  for (const { path } of options.disks) add(path, "shared");
  return [...mounts.values()];
}

/** Behind links lie the files that the rig is to see: `/vmlinuz` is in /boot. */
export function realPaths(
  options: BootOptions,
  { kernel, initrd, ownInit }: BootFiles,
): { readonly options: BootOptions; readonly files: BootFiles } {
  const disks = options.disks.map((disk) => ({ ...disk, path: realPath(disk.path) }));
  const files = { kernel: realPath(kernel), initrd: realPath(initrd), ownInit };
  return { options: { ...options, disks }, files };
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    throw new VireoError("config", `Cannot find "${path}": ${errorText(error)}`, { cause: error });
  }
}
