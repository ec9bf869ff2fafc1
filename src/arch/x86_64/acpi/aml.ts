/**
 * Writes ACPI machine language (ACPI 6.5 §20.2): each function gives the bytes of one term, in the encoding that the
 * reference compiler chooses.
 *
 * @module
 */

// bits-file: AML encodings, no addresses

/** Bytes of a term: plain numbers, since typed arrays of a few bytes each are slow to make in a program that just started. */
export type Aml = readonly number[];

/** A method's local variable 0. */
export const LOCAL0: Aml = [0x60];
/** OperationRegion space: I/O ports. */
export const SYSTEM_IO = 1;

const EXT_OP = 0x5b;
const END_TAG = [0x79, 0];
/** Field flags: 32-bit accesses, no lock, bits outside the field written as zeros. */
const FIELD_DWORD_WRITE_AS_ZEROS = 3 + (2 << 5);

/** Terms, one after another. */
export function concat(...terms: readonly Aml[]): Aml {
  return ([] as number[]).concat(...terms);
}

/** A number in its shortest form, up to 32 bits. */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value];
  if (value < 0x100) return [0x0a, value];
  if (value < 0x10000) return concat([0x0b], u16(value));
  return concat([0x0c], u32(value));
}

/** An ASCII string. */
export function string(text: string): Aml {
  return concat([0x0d], ascii(text), [0]);
}

/** `EisaId ("PNP0501")`: three letters in five bits each, four hexadecimal digits, big-endian (§19.3.4). */
export function eisaId(id: string): Aml {
  const letter = (i: number) => id.charCodeAt(i) - 0x40;
  const vendor = letter(0) << 10 | letter(1) << 5 | letter(2);
  const product = parseInt(id.slice(3), 16);
  return [0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

/** A name of up to four characters, found in the scope where it stands or the nearest one around it. */
export function nameSegment(text: string): Aml {
  return ascii(text.padEnd(4, "_"));
}

/** `Name (name, value)`. */
export function name(at: string, value: Aml): Aml {
  return concat([0x08], nameSegment(at), value);
}

/** `Package () { … }`. */
export function packageOf(...elements: readonly Aml[]): Aml {
  return concat([0x12], sized([elements.length], ...elements));
}

/** `Scope (name) { … }`. */
export function scope(at: string, ...terms: readonly Aml[]): Aml {
  return concat([0x10], sized(nameSegment(at), ...terms));
}

/** `Device (name) { … }`. */
export function device(at: string, ...terms: readonly Aml[]): Aml {
  return concat([EXT_OP, 0x82], sized(nameSegment(at), ...terms));
}

/** `Method (name, args, Serialized) { … }`. */
export function method(at: string, args: number, ...terms: readonly Aml[]): Aml {
  return concat([0x14], sized(nameSegment(at), [args | 0x08], ...terms));
}

/** `OperationRegion (name, space, offset, length)`. */
export function operationRegion(
  at: string,
  { space, offset, length }: { space: number; offset: number; length: number },
): Aml {
  const head = [EXT_OP, 0x80];
  return concat(head, nameSegment(at), [space], integer(offset), integer(length));
}

/** `Field (region, DWordAcc, NoLock, WriteAsZeros) { name, bits, … }`. */
export function field(region: string, units: Readonly<Record<string, number>>): Aml {
  const terms = Object.entries(units).map(([unit, bits]) =>
    concat(nameSegment(unit), packageLength(bits))
  );
  const head = concat(nameSegment(region), [FIELD_DWORD_WRITE_AS_ZEROS]);
  return concat([EXT_OP, 0x81], sized(head, ...terms));
}

/** `target = source`. */
export function store(source: Aml, target: Aml): Aml {
  return concat([0x70], source, target);
}

/** `a & b`, its value used and stored nowhere. */
export function and(a: Aml, b: Aml): Aml {
  return concat([0x7b], a, b, [0]);
}

/** `If (condition) { … }`. */
export function ifTrue(condition: Aml, ...terms: readonly Aml[]): Aml {
  return concat([0xa0], sized(condition, ...terms));
}

/** `Notify (device, value)`. */
export function notify(target: string, value: number): Aml {
  return concat([0x86], nameSegment(target), integer(value));
}

/** `ResourceTemplate () { … }`: a buffer of resource descriptors. */
export function resourceTemplate(...descriptors: readonly Aml[]): Aml {
  const bytes = concat(...descriptors, END_TAG);
  return concat([0x11], sized(integer(bytes.length), bytes));
}

/** `IO (Decode16, port, port, 1, length)` (§6.4.2.5). */
export function ioPorts(port: number, length: number): Aml {
  return concat([0x47, 1], u16(port), u16(port), [1, length]);
}

/** `Memory32Fixed (ReadWrite, address, length)` (§6.4.3.4). */
export function memory32Fixed(address: number, length: number): Aml {
  return concat([0x86], u16(9), [1], u32(address), u32(length));
}

/** `Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { gsi }` (§6.4.3.6). */
export function edgeInterrupt(gsi: number): Aml {
  return concat([0x89], u16(6), [3, 1], u32(gsi));
}

/** Terms behind the length of it all. */
function sized(...terms: readonly Aml[]): Aml {
  const bytes = concat(...terms);
  // The length counts its own bytes.
  const own = [1, 2, 3, 4].find((count) =>
    bytes.length + count < (count === 1 ? 64 : 16 ** (2 * count - 1))
  );
  return concat(packageLength(bytes.length + (own ?? 4)), bytes);
}

/** PkgLength (§20.2.4): one byte below 64, else 4 bits and up to three bytes more. */
function packageLength(length: number): Aml {
  if (length < 64) return [length];
  const rest: number[] = [];
  for (let left = length >> 4; left > 0; left >>= 8) rest.push(left & 0xff);
  return [rest.length << 6 | length & 0x0f, ...rest];
}

function u16(value: number): Aml {
  return [value & 0xff, value >> 8];
}

function u32(value: number): Aml {
  return [value & 0xff, value >>> 8 & 0xff, value >>> 16 & 0xff, value >>> 24];
}

function ascii(text: string): Aml {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i));
  return bytes;
}
