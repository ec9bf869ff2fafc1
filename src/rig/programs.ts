/**
 * The host's programs that a rig needs: checked, and installed with apt where we are root.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import { runCommand } from "../boot/run_command.ts";

/** Each program and the Debian package that brings it. */
const PROGRAMS: readonly (readonly [program: string, packageName: string])[] = [
  ["qemu-system-x86_64", "qemu-system-x86"],
  ["setpriv", "util-linux"],
  ["xz", "xz-utils"],
  ["zstd", "zstd"],
];

/**
 * Makes sure that the programs are there.
 *
 * @throws VireoError `environment` with the command to type, where they are not and we are not root, or apt fails
 */
export async function installPrograms(
  progress: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const install = ["install", "-y", "--no-install-recommends", ...missing];
  const command = `apt-get ${install.join(" ")}`;
  if (Deno.uid() !== 0) throw missingError(missing, `run: sudo ${command}`);
  progress(`Installing for the rig: ${command}`);
  if (await apt(install, signal) === undefined) return;
  progress("Fetching Debian's package lists: apt-get update");
  await apt(["update"], signal);
  const complaint = await apt(install, signal);
  if (complaint !== undefined) throw missingError(missing, `${command}: ${complaint}`);
}

function missingError(missing: readonly string[], next: string): VireoError {
  const what = missing.join(", ");
  return new VireoError("environment", `Cannot set up the rig without ${what}; ${next}`);
}

function missingPackages(): string[] {
  return PROGRAMS.filter(([program]) => !isInstalled(program)).map(([, name]) => name);
}

function isInstalled(program: string): boolean {
  const folders = (Deno.env.get("PATH") ?? "/usr/bin:/bin").split(":");
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** Runs apt-get; its complaint if it fails. */
async function apt(args: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
  const options = { onLine: () => {}, ...signal === undefined ? {} : { signal } };
  try {
    const { status, stderr } = await runCommand("apt-get", ["-qq", ...args], options);
    return status === 0 ? undefined : stderr;
  } catch (error) {
    signal?.throwIfAborted();
    return errorText(error);
  }
}
