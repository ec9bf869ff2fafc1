/**
 * Chips of the ISA bus have registers of one byte; a wider access is several accesses of a byte, lowest address first.
 *
 * @module
 */

import type { BusDevice } from "../bus/bus_device.ts";

/** What a register that isn't there reads as: nobody drives the bus. */
export const OPEN_BUS = 0xff;

/** A device whose registers are all one byte wide. */
export abstract class ByteDevice implements BusDevice {
  /** Reads the register at `offset`; {@linkcode OPEN_BUS} where there is none. */
  abstract readByte(offset: number): number;

  /** Writes 0 to 0xff to the register at `offset`. */
  abstract writeByte(offset: number, value: number): void;

  /** Answers a read of 1, 2 or 4 bytes. */
  read(offset: number, size: number): number {
    if (size === 1) return this.readByte(offset);
    let value = 0;
    for (let i = 0; i < size; i++) value += this.readByte(offset + i) * 2 ** (8 * i);
    return value;
  }

  /** Takes a write of 1, 2 or 4 bytes. */
  write(offset: number, size: number, value: number): void {
    if (size === 1) return this.writeByte(offset, value);
    for (let i = 0; i < size; i++) {
      this.writeByte(offset + i, (value >>> 8 * i) & 0xff);
    }
  }
}
