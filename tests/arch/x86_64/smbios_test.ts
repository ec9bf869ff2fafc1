/** SMBIOS: what a kernel that scans for it finds. */

import { assert, assertEquals } from "@std/assert";
import { SmbiosBios, SmbiosEntryPoint, SmbiosSystem } from "../../../src/abi/smbios.ts";
import { smbiosTables } from "../../../src/arch/x86_64/smbios.ts";
import { sizeof } from "../../../src/base/struct.ts";

const UUID = "00112233-4455-6677-8899-aabbccddeeff";

/** A structure: its formatted bytes, and its texts. */
interface Found {
  readonly bytes: Uint8Array;
  readonly texts: readonly string[];
}

/** Walks from the entry point on. */
function structures(uuid: string | null): Found[] {
  const [entry, table] = smbiosTables({ uuid });
  assert(entry && table);
  const view = new DataView(entry.bytes.buffer);
  assertEquals(Number(view.getBigUint64(SmbiosEntryPoint.Address, true)), table.address);
  assertEquals(view.getUint32(SmbiosEntryPoint.MaximumSize, true), table.bytes.length);
  const found: Found[] = [];
  for (let at = 0; at < table.bytes.length;) {
    const length = table.bytes[at + 1] ?? 0;
    const end = doubleNul(table.bytes, at + length);
    const texts = new TextDecoder().decode(table.bytes.subarray(at + length, end)).split("\0");
    found.push({ bytes: table.bytes.slice(at, at + length), texts: texts.filter((text) => text) });
    at = end + 2;
  }
  return found;
}

function doubleNul(bytes: Uint8Array, from: number): number {
  for (let at = from;; at++) if (bytes[at] === 0 && bytes[at + 1] === 0) return at;
}

Deno.test("abi/smbios has the sizes and offsets of DSP0134 3.0", () => {
  assertEquals([SmbiosEntryPoint, SmbiosBios, SmbiosSystem].map(sizeof), [0x18, 0x18, 0x1b]);
  assertEquals([SmbiosBios.CharacteristicsExtension, SmbiosSystem.UUID], [0x12, 8]);
});

Deno.test("smbiosTables() begin where kernels scan, with an anchor that sums up to 0", () => {
  const [entry] = smbiosTables({ uuid: null });
  assert(entry !== undefined && entry.address >= 0xf0000 && entry.address % 16 === 0);
  assertEquals(new TextDecoder().decode(entry.bytes.subarray(0, 5)), "_SM3_");
  assertEquals(entry.bytes.reduce((sum, byte) => sum + byte, 0) % 256, 0);
  assertEquals(entry.bytes[SmbiosEntryPoint.Length], 24);
});

Deno.test("smbiosTables() tell of firmware, system and their end, by name", () => {
  const found = structures(null);
  assertEquals(found.map(({ bytes }) => bytes[0]), [0, 1, 127]);
  assertEquals(found.map(({ texts }) => texts), [
    ["Vireo", "1", "01/01/2026"],
    ["Vireo", "Vireo microvm", "1"],
    [],
  ]);
});

Deno.test("smbiosTables() give the UUID with its first three groups little-endian (row 2.1)", () => {
  const [, system] = structures(UUID);
  const uuid = system?.bytes.subarray(SmbiosSystem.UUID, SmbiosSystem.UUID + 16);
  assertEquals(uuid?.toHex(), "33221100554477668899aabbccddeeff");
});

Deno.test("smbiosTables() without a UUID give zeros, which Linux takes for none", () => {
  const [, system] = structures(null);
  const uuid = system?.bytes.subarray(SmbiosSystem.UUID, SmbiosSystem.UUID + 16);
  assertEquals(uuid, new Uint8Array(16));
});
