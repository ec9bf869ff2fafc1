/**
 * Tiny guests in a kernel's clothes: a bzImage whose 64-bit entry is a few integer instructions.
 *
 * @module
 */

import { ACPI_RESET_VALUE } from "../../src/abi/acpi.ts";
import { kernelImage } from "../boot/kernel_image.ts";
import { Assembler } from "./tiny_guest.ts";

const SERIAL = 0x3f8;
const LINE_STATUS = 0x3fd;
const PVPANIC = 0x505;
/** Port of the sleep register. */
export const SLEEP_CONTROL = 0x600;
/** Port of the reset register. */
export const RESET = 0x602;
/** SLP_EN and S5. */
export const POWER_OFF = 0x34;
/** Where the setup code ends. */
const KERNEL_OFFSET = 4 * 512;
/** Where in the kernel behind it the 64-bit entry is. */
export const ENTRY = 0x200;

/** A bzImage that is this guest; it spins where the guest has no end of its own. */
export function guestKernel(guest: Assembler): Uint8Array {
  const image = kernelImage({ kernelSize: 4096 });
  image.set(guest.spin().assemble(), KERNEL_OFFSET + ENTRY);
  return image;
}

/** A guest that writes a text to its serial port. */
export function says(text: string): Assembler {
  const guest = new Assembler();
  for (const byte of new TextEncoder().encode(text)) guest.eax(byte).out(SERIAL);
  return guest;
}

/** How many bytes `long.img` writes: more than a pipe holds, less than Vireo keeps. */
export const LONG = 100_000;

/** Guests by how they end. */
export const GUESTS: Readonly<Record<string, () => Assembler>> = {
  "off.img": () => says("Hi\n").eax(POWER_OFF).out(SLEEP_CONTROL),
  "reset.img": () => says("Again\n").eax(ACPI_RESET_VALUE).out(RESET),
  "panic.img": () => says("Oh\n").eax(1).out(PVPANIC),
  "spin.img": () => says("Ready\n"),
  "long.img": () =>
    // The bytes are `dec ecx`, whose short form is a prefix in 64 bits.
    new Assembler().ecx(LONG).label("next").eax(0x78).out(SERIAL).bytes(0xff, 0xc9)
      .jumpNotEqual("next").eax(POWER_OFF).out(SLEEP_CONTROL),
  /** Gives back what it reads, up to a `q`. */
  "echo.img": () =>
    new Assembler().label("next").in(LINE_STATUS).bytes(0xa8, 1).jumpEqual("next").in(SERIAL)
      .compareAl("q".charCodeAt(0)).jumpEqual("end").out(SERIAL).jump("next")
      .label("end").eax(POWER_OFF).out(SLEEP_CONTROL),
};

/** Writes every guest into a folder, and `far.img`, a kernel that wants to be at 1792 MiB. */
export function writeGuests(folder: string): void {
  for (const [name, guest] of Object.entries(GUESTS)) {
    Deno.writeFileSync(`${folder}/${name}`, guestKernel(guest()));
  }
  const fields = { pref_address: 0x70000000, relocatable_kernel: 0 };
  Deno.writeFileSync(`${folder}/far.img`, kernelImage({ fields }));
}
