/**
 * What the ACPI and MP tables need to know of a machine.
 *
 * @module
 */

/** A virtio-mmio device's window and interrupt. */
export interface MmioDevice {
  /** Below 4 GiB. */
  readonly address: number;
  readonly size: number;
  readonly gsi: number;
}

/** A machine as its firmware describes it. */
export interface AcpiMachine {
  /** APIC ids by vCPU index, of all that there may ever be. */
  readonly apicIds: readonly number[];
  /** How many of them are there: the first ones. */
  readonly cpus: number;
  readonly virtioMmio: readonly MmioDevice[];
  /** Whether there is a serial port at COM1's place. */
  readonly com1: boolean;
  /** Whether there is a CMOS clock. */
  readonly rtc: boolean;
  /** Whether there is a pvpanic device. */
  readonly pvpanic: boolean;
}
