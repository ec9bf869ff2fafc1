/**
 * Guest physical addresses.
 *
 * @module
 */

/**
 * A guest physical address in bytes. x86-64 has at most 52 address bits, so `address + length` is exact in a `number` and
 * cannot wrap. A hostile 64-bit value decoded as `low + high * 2 ** 32` loses low bits only above 2 ** 53, where every
 * bounds check refuses it.
 */
export type GuestAddress = number;

/** 2 ** 32, for putting addresses together from halves and taking them apart without bit operators. */
export const TWO_32 = 0x1_0000_0000;

/** The address whose low and high halves are given, both unsigned. */
export function fromHalves(low: number, high: number): GuestAddress {
  return low + high * TWO_32;
}
