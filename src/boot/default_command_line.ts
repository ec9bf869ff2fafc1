/**
 * Kernel parameters that Vireo gives a guest.
 *
 * @module
 */

/** What decides about the parameters. */
export interface CommandLineChoice {
  /** The initramfs is Vireo's own, whose init puts its shell on hvc0 by itself. */
  readonly ownInit: boolean;
  /** The kernel's messages are wanted. Each costs a guest on nested emulation 10 ms. */
  readonly verbose: boolean;
  /** More parameters, put last so that they win. */
  readonly more: string;
}

/** The command line of a guest that `vireo boot` starts. */
export function defaultCommandLine({ ownInit, verbose, more }: CommandLineChoice): string {
  return [
    "console=ttyS0",
    // Of several consoles the last becomes /dev/console, which an init knows no better than to use.
    ...(ownInit ? [] : ["console=hvc0"]),
    ...PARAMETERS,
    ...(verbose || !ownInit ? [] : ["quiet"]),
    ...(more === "" ? [] : [more]),
  ].join(" ");
}

const PARAMETERS: readonly string[] = [
  // After a panic the reset comes at once; pvpanic has said by then what it was.
  "panic=-1",
  // With reduced hardware Linux would reboot through EFI, which there is none of, and then through the BIOS.
  "reboot=acpi",
  // KVM's clock does not stray, and measuring it against a timer that the host may delay goes wrong.
  "tsc=reliable",
  "no_timer_check",
  "random.trust_cpu=on",
  // Tests of algorithms that every boot would repeat.
  "cryptomgr.notests",
  // There is no PCI bus: looking for one takes some 300 exits, more than a third of all that a boot makes.
  "pci=off",
  // COM1 is the only one there is.
  "8250.nr_uarts=1",
];
