/**
 * ASCII, for signatures and names in tables of firmware.
 *
 * @module
 */

/** The characters of an ASCII text as bytes: a tenth of what TextEncoder takes for a few letters in a program that just started. */
export function ascii(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
