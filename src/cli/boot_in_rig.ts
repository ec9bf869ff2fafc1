/**
 * `vireo boot` where this system's KVM can't: the same command in the rig, on our streams and terminal.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import type { BootFiles } from "../boot/boot_files.ts";
import { openResources } from "../machine/resources.ts";
import { runAttached } from "../rig/attach.ts";
import type { Mount } from "../rig/init.ts";
import { Rig, type RigOptions } from "../rig/rig.ts";
import { dirname, fromFileUrl, resolve } from "../std/path.ts";
import { AGENT_COMMAND, BOOT_FILES_VARIABLE } from "./rig_names.ts";
import { bootArguments, type BootOptions } from "./boot_options.ts";
import { EXIT } from "./exit_status.ts";
import { ProgressLine, say } from "./say.ts";

/** Runs the command in a rig of its own. Gives its exit status, 3 (or 125 with a command) where there can be no rig. */
export async function bootInRig(options: BootOptions, files: BootFiles): Promise<number> {
  // Told here what is wrong with a disk, not from within the rig after its start; and locked, which no lock in the rig can do.
  using _disks = openResources(options, () => "--disk");
  const mounts = rigMounts(options, files);
  let rig: Rig;
  try {
    using progress = new ProgressLine();
    if (Deno.stderr.isTerminal()) progress.show("Starting the rig");
    rig = await Rig.start({ ...OURSELVES.rig, mounts, progress: progress.show });
  } catch (error) {
    say(`vireo: Cannot start the rig: ${errorText(error)}`);
    return options.exec === undefined ? EXIT.kvm : EXIT.notTheCommand;
  }
  await using running = rig;
  const status = runAttached(running, rigCommand(options), {
    cwd: OURSELVES.rig.project,
    env: { [BOOT_FILES_VARIABLE]: JSON.stringify(absolute(files)) },
  });
  if (options.timeout === undefined) return await status;
  return await Promise.race([status, lateStatus(options, options.timeout)]);
}

/** How long the Vireo in the rig gets beyond --timeout: for its start, and for its output to be read, in ms. */
const RIG_GRACE = 30_000;

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

function absolute({ kernel, initrd, ownInit }: BootFiles): BootFiles {
  return { kernel: resolve(kernel), initrd: resolve(initrd), ownInit };
}
