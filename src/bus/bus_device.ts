/**
 * What the bus asks of a device.
 *
 * @module
 */

/**
 * The register side of a device: answers accesses in the isolate of the vCPU that made them, several vCPUs at a time, so
 * its state lies in shared state and is locked there. It never blocks and does no host I/O that can wait.
 */
export interface BusDevice {
  /**
   * Answers a read.
   *
   * @param offset from the start of the device's registers
   * @param size 1, 2 or 4 bytes
   * @returns a number of that size, signed or not; higher bits are cut off
   */
  read(offset: number, size: number): number;

  /**
   * Takes a write.
   *
   * @param offset from the start of the device's registers
   * @param size 1, 2 or 4 bytes
   * @param value of that size. 4 bytes are a signed number, since V8 would put an unsigned one from 2 ** 31 on into a box, on
   *   each exit: `value >>> 0` makes it unsigned where that matters
   */
  write(offset: number, size: number, value: number): void;

  /** Answers an 8-byte read. Where it is absent such reads give all ones. */
  readWide?(offset: number): bigint;

  /** Takes an 8-byte write. Where it is absent such writes are dropped. */
  writeWide?(offset: number, value: bigint): void;
}

/** Which address space a window lies in. */
export type BusName = "port" | "memory";

/** A range of bus addresses that belongs to a device. */
export interface BusWindow {
  /** Ports (0 to 0xffff) or guest physical memory. */
  readonly bus: BusName;
  /** First address. */
  readonly base: number;
  /** Bytes. */
  readonly size: number;
  /** What the device calls the window's first register; 0 where absent. */
  readonly offset?: number;
}
