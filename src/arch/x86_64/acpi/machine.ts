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
  /** APIC ids by vCPU index. */
  readonly apicIds: readonly number[];
  readonly virtioMmio: readonly MmioDevice[];
  /** Whether there is a serial port at COM1's place. */
  readonly com1: boolean;
  /** Whether there is a CMOS clock. */
  readonly rtc: boolean;
  /** Whether there is a pvpanic device. */
  readonly pvpanic: boolean;
}
