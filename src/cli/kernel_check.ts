/**
 * Whether the kernel of a description can be booted with its initrd and command line in its memory, as far as that is known
 * without KVM.
 *
 * @module
 */

import { RSDP_ADDRESS, splitRam } from "../arch/x86_64/layout.ts";
import { ConfigError, problemText } from "../base/errors.ts";
import { isGzip, unzipKernel } from "../boot/gzip_kernel.ts";
import { type BootPart, KernelError } from "../boot/kernel_error.ts";
import { type KernelImage, parseKernel } from "../boot/kernel_image.ts";
import { type LinuxOptions, planLinux } from "../boot/linux_loader.ts";
import { OpenKernel } from "../boot/open_kernel.ts";
import type { Description } from "../config/description.ts";
import type { Mistake } from "../config/mistake.ts";
import { commandLine } from "../machine/linux.ts";
import type { PreviewDevice } from "../machine/preview.ts";

/** What is known of the machine besides its description. */
export interface KernelCheck {
  readonly devices: readonly PreviewDevice[];
  /** Bytes of the initrd, 0 for none or one that cannot be opened. */
  readonly initrdSize: number;
}

const PARTS = {
  kernel: { key: "kernel.path", allowed: "a kernel that fits" },
  initrd: { key: "kernel.initrd", allowed: "an initrd that fits" },
  cmdline: { key: "kernel.cmdline", allowed: "a command line that the kernel reads" },
} as const satisfies Record<BootPart, Pick<Mistake, "key" | "allowed">>;

/** Reads the kernel and plans its boot; gives every mistake that shows. */
export async function checkKernel(
  description: Description,
  { devices, initrdSize }: KernelCheck,
): Promise<Mistake[]> {
  const { cpu, kernel: { path, cmdline, entry } } = description;
  const ram = splitRam(description.memory.size);
  try {
    using opened = new OpenKernel(path);
    const file = isGzip(opened) ? await unzipKernel(opened, ram[0]?.size) : opened;
    return planMistakes(parseKernel(file), {
      ram,
      initrdSize,
      entry,
      commandLine: commandLine(cmdline, { cpus: cpu.count, topology: cpu, devices }),
      rsdpAddress: RSDP_ADDRESS,
    });
  } catch (error) {
    const isOther = error instanceof ConfigError && error.path !== "kernel.path";
    if (isOther) {
      return [{ key: error.path, problem: problemText(error), allowed: "a number that fits" }];
    }
    const problem = problemText(error);
    const value = JSON.stringify(path);
    return [{ key: "kernel.path", value, problem, allowed: "a bzImage or an ELF kernel" }];
  }
}

/** Plans again without the part that did not fit, so that the next one's mistake shows too. */
function planMistakes(image: KernelImage, options: LinuxOptions): Mistake[] {
  try {
    planLinux(image, options);
    return [];
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const mistake = { ...PARTS[error.part], problem: error.message };
    if (error.part === "kernel") return [mistake];
    const rest = error.part === "initrd" ? { initrdSize: 0 } : { commandLine: "" };
    return [mistake, ...planMistakes(image, { ...options, ...rest })];
  }
}
