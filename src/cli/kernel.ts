/**
 * The command `vireo kernel unpack`: the uncompressed kernel inside a bzImage, as a file.
 *
 * @module
 */

import { ConfigError, errorText, VireoError } from "../base/errors.ts";
import { unpackKernel } from "../boot/vmlinux.ts";
import {
  describeOptions,
  describeRows,
  HELP,
  type OptionTable,
  parseOptions,
} from "../config/options.ts";
import { basename } from "../std/path.ts";
import { EXIT, statusOfError } from "./exit_status.ts";
import { printHelp, say } from "./say.ts";

/** What it can be told. */
export interface KernelOptions {
  readonly help: boolean;
}

/** Its options. */
export const KERNEL_OPTIONS: OptionTable<KernelOptions> = {
  help: HELP,
};

/**
 * Runs the command.
 *
 * @param args what stands behind `kernel`
 * @returns the exit status
 */
export async function kernel(args: readonly string[]): Promise<number> {
  try {
    const words = args.filter((arg) => !arg.startsWith("-"));
    const options = parseOptions(KERNEL_OPTIONS, args.filter((arg) => arg.startsWith("-")));
    if (options.help) return printHelp(kernelHelp());
    const [what, path, out, ...rest] = words;
    if (what !== "unpack") {
      throw new ConfigError("kernel", `"${what ?? ""}" is nothing that it does; say unpack`);
    }
    if (path === undefined || rest.length > 0) {
      throw new ConfigError("kernel unpack", "Give a kernel, and a name for what is in it");
    }
    await unpackTo(path, out ?? unpackedName(path));
    return EXIT.ok;
  } catch (error) {
    say(`vireo: ${errorText(error)}`);
    return statusOfError(error);
  }
}

/** `vmlinuz-6.1.0` becomes `vmlinux-6.1.0`, `bzImage` becomes `bzImage.vmlinux`; in the current folder. */
export function unpackedName(path: string): string {
  const name = basename(path).replace(/\.gz$/, "");
  return name.includes("vmlinuz") ? name.replace("vmlinuz", "vmlinux") : `${name}.vmlinux`;
}

async function unpackTo(path: string, out: string): Promise<void> {
  const bytes = await unpackKernel(path);
  try {
    await Deno.writeFile(out, bytes, { createNew: true });
  } catch (error) {
    const advice = error instanceof Deno.errors.AlreadyExists
      ? "it is there already; remove it, or give another name"
      : errorText(error);
    throw new VireoError("environment", `Cannot write "${out}": ${advice}`, { cause: error });
  }
  say(`${out}: ${bytes.length} bytes`);
}

/** The help of `vireo kernel`. */
export function kernelHelp(): string {
  return `Takes the uncompressed kernel (vmlinux) out of a bzImage: it starts without unpacking itself.

Usage: vireo kernel unpack KERNEL [OUT]

OUT is KERNEL's name with vmlinux for vmlinuz, in the current folder, and must not be there. What
KERNEL is packed with, one of gzip, xz, zstd, lz4, lzma, bzip2 and lzop, is needed as a program.

${describeOptions(KERNEL_OPTIONS)}
Exit status:
${
    describeRows([
      { left: "  0", right: "OUT is written." },
      {
        left: "  2",
        right: "KERNEL is none or damaged, OUT cannot be written, or a program is missing.",
      },
    ])
  }`;
}
