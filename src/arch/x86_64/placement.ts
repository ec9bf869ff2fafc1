/**
 * Bytes that belong at a guest address: what every writer of boot-time structures returns.
 *
 * @module
 */

/** Bytes and where in guest RAM they go. */
export interface Placement {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** The part of guest memory that placing needs. */
export interface MemoryWriter {
  /** Copies `bytes` to guest RAM; throws VireoError `range` where that is not RAM. */
  write(address: number, bytes: Uint8Array): void;
}

/** Writes every placement in turn. */
export function place(memory: MemoryWriter, placements: Iterable<Placement>): void {
  for (const { address, bytes } of placements) memory.write(address, bytes);
}
