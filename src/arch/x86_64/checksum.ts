/**
 * The checksum of firmware tables.
 *
 * @module
 */

/** The byte that, put where a 0 is now, makes the sum of all bytes 0 modulo 256. */
export function checksum(bytes: Uint8Array): number {
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  return (256 - sum % 256) % 256;
}
