/**
 * What is wrong with a kernel and what goes with it.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";

/** Which of the things that are booted does not fit. */
export type BootPart = "kernel" | "initrd" | "cmdline";

/** A kernel, initrd or command line that cannot be loaded: the message names it and says what to do. */
export class KernelError extends VireoError {
  /** Which of them is to be changed first. */
  readonly part: BootPart;

  /**
   * @param message what cannot be done, why, and what to do
   * @param part which of them is to be changed first
   */
  constructor(message: string, part: BootPart) {
    super("load_memory", message);
    this.part = part;
  }
}

/** A kernel file that cannot be booted: names the file. */
export function refuse(name: string, why: string): KernelError {
  return new KernelError(`Cannot load kernel "${name}": ${why}`, "kernel");
}
