import { assert, assertEquals, assertThrows } from "@std/assert";
import { VireoError } from "../../../src/base/errors.ts";
import { MP_TABLE_ADDRESS, MP_TABLE_END } from "../../../src/arch/x86_64/layout.ts";
import { mpTable } from "../../../src/arch/x86_64/mp_table.ts";
import { apicIds, flatTopology } from "../../../src/arch/x86_64/topology.ts";

interface Table {
  readonly pointer: Uint8Array;
  readonly header: DataView;
  /** Entries as bytes, by the length that their type has (Intel MP 1.4 table 4-3). */
  readonly entries: readonly (readonly number[])[];
}

function tableOf(cpus: number): Table {
  const [pointer, table] = mpTable(apicIds(flatTopology(cpus)));
  assert(pointer && table);
  assertEquals(pointer.address, 0x9fc00);
  assertEquals(table.address, MP_TABLE_ADDRESS);
  const entries: number[][] = [];
  for (let at = 44; at < table.bytes.length;) {
    const length = table.bytes[at] === 0 ? 20 : 8;
    entries.push([...table.bytes.subarray(at, at + length)]);
    at += length;
  }
  return { pointer: pointer.bytes, header: new DataView(table.bytes.buffer), entries };
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0) % 256;
}

Deno.test("mpTable() makes a floating pointer that leads to the table", () => {
  const { pointer } = tableOf(2);
  assertEquals(new TextDecoder().decode(pointer.subarray(0, 4)), "_MP_");
  assertEquals(new DataView(pointer.buffer).getUint32(4, true), MP_TABLE_ADDRESS);
  assertEquals([...pointer.subarray(8, 10)], [1, 4]);
  assertEquals([...pointer.subarray(11)], [0, 0, 0, 0, 0]);
  assertEquals(sum(pointer), 0);
});

Deno.test("mpTable() counts its length and entries, and sums up to 0", () => {
  const { header, entries } = tableOf(4);
  const bytes = new Uint8Array(header.buffer);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, 4)), "PCMP");
  assertEquals(header.getUint16(4, true), bytes.length);
  assertEquals(header.getUint16(34, true), entries.length);
  assertEquals(entries.length, 4 + 1 + 1 + 24 + 2);
  assertEquals(header.getUint32(36, true), 0xfee00000);
  assertEquals(sum(bytes), 0);
});

Deno.test("mpTable() marks vCPU 0 as the one that boots", () => {
  const cpus = tableOf(3).entries.filter(([type]) => type === 0);
  assertEquals(cpus.map(([, apicId, version, flags]) => [apicId, version, flags]), [
    [0, 0x14, 3],
    [1, 0x14, 1],
    [2, 0x14, 1],
  ]);
});

Deno.test("mpTable() wires ISA interrupts to the IOAPIC's pins one to one", () => {
  const { entries } = tableOf(2);
  assertEquals(entries[2], [1, 0, 0x49, 0x53, 0x41, 0x20, 0x20, 0x20]);
  assertEquals(entries[3], [2, 2, 0x11, 1, 0, 0, 0xc0, 0xfe]);
  const wires = entries.filter(([type]) => type === 3);
  assertEquals(wires, Array.from({ length: 24 }, (_, pin) => [3, 0, 5, 0, 0, pin, 2, pin]));
});

Deno.test("mpTable() wires the 8259 to LINT0 and NMI to every LINT1", () => {
  const local = tableOf(2).entries.filter(([type]) => type === 4);
  assertEquals(local, [[4, 3, 5, 0, 0, 0, 0, 0], [4, 1, 5, 0, 0, 0, 255, 1]]);
});

Deno.test("mpTable() holds 254 vCPUs and refuses 255 (row 3.17)", () => {
  const { header, entries } = tableOf(254);
  assert(header.byteLength <= MP_TABLE_END - MP_TABLE_ADDRESS);
  assertEquals(entries.filter(([type]) => type === 0).length, 254);
  assertThrows(() => mpTable(apicIds(flatTopology(255))), VireoError, "Cannot describe 255 vCPUs");
});

Deno.test("mpTable() refuses APIC ids that leave none for the IOAPIC", () => {
  assertThrows(() => mpTable([0, 254]), VireoError, "APIC ids up to 254");
});
