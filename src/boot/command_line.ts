/**
 * The kernel's command line.
 *
 * @module
 */

import type { MmioDevice } from "../arch/x86_64/acpi/machine.ts";
import { COMMAND_LINE_MAX_SIZE } from "../arch/x86_64/layout.ts";
import { KernelError } from "./kernel_error.ts";

/**
 * One `virtio_mmio.device=SIZE@ADDRESS:IRQ` a device (Linux: drivers/virtio/virtio_mmio.c). For `acpi=off` only: a kernel
 * that also finds the devices in the DSDT would probe each of them twice.
 */
export function virtioMmioParameters(devices: readonly MmioDevice[]): readonly string[] {
  return devices.map(({ address, size, gsi }) =>
    `virtio_mmio.device=${size / 1024}K@0x${address.toString(16)}:${gsi}`
  );
}

/** Adds parameters for the kernel: before a `--`, since what follows that is for init. */
export function appendParameters(commandLine: string, parameters: readonly string[]): string {
  const words = commandLine.split(" ").filter((word) => word !== "");
  const dashes = words.indexOf("--");
  words.splice(dashes < 0 ? words.length : dashes, 0, ...parameters);
  return words.join(" ");
}

/** The kernel that a command line is for. */
export interface CommandLineReader {
  /** For messages. */
  readonly name: string;
  /** Longest command line in bytes, without the 0 at its end. */
  readonly commandLineSize: number;
}

/**
 * The command line as the kernel finds it, with the 0 at its end.
 *
 * @throws KernelError where it is longer than the kernel reads
 */
export function encodeCommandLine(commandLine: string, kernel: CommandLineReader): Uint8Array {
  const text = new TextEncoder().encode(commandLine);
  const most = Math.min(kernel.commandLineSize, COMMAND_LINE_MAX_SIZE - 1);
  const refuse = (why: string) =>
    new KernelError(`Cannot load kernel "${kernel.name}": its command line ${why}`, "cmdline");
  if (text.length > most) {
    throw refuse(`has ${text.length} bytes and it reads at most ${most}; make it shorter`);
  }
  if (text.includes(0)) throw refuse("holds a NUL character; remove it");
  const bytes = new Uint8Array(text.length + 1);
  bytes.set(text);
  return bytes;
}
