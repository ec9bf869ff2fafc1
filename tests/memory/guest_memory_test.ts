import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { Mapping, viewAt } from "../../src/host/mapping.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { libcRequirement } from "../support/libc.ts";
import { fuzz } from "../support/random.ts";

const NEEDS = libcRequirement();
const MIB = 2 ** 20;
const HIGH = 4 * 2 ** 30;
const LOW_SIZE = 0x4000;
const HIGH_SIZE = 0x2000;

/** RAM with a hole, as machines above 3328 MiB have it. */
function split(): GuestMemory {
  return GuestMemory.onBuffers([
    { guestAddress: 0, buffer: new ArrayBuffer(LOW_SIZE) },
    { guestAddress: HIGH, buffer: new ArrayBuffer(HIGH_SIZE) },
  ]);
}

/** All of RAM, to see that nothing has changed. */
function image(memory: GuestMemory): Uint8Array {
  const bytes = new Uint8Array(memory.size);
  memory.read(0, bytes.subarray(0, LOW_SIZE));
  memory.read(HIGH, bytes.subarray(LOW_SIZE));
  return bytes;
}

function rangeError(act: () => void): string {
  const error = assertThrows(act, VireoError);
  assertEquals(error.kind, "range");
  return error.message;
}

const OUTSIDE: readonly (readonly [what: string, address: number, length: number])[] = [
  ["past the end of RAM", HIGH + HIGH_SIZE, 1],
  ["across the end of RAM", HIGH + HIGH_SIZE - 8, 16],
  ["across the end of low RAM", LOW_SIZE - 8, 16],
  ["in the hole", 0xd0000000, 4],
  ["across the start of high RAM", HIGH - 8, 16],
  ["at the last address of 64 bits", 2 ** 64 - 1, 1],
  ["below zero", -8, 8],
];

for (const [what, address, length] of OUTSIDE) {
  Deno.test(`GuestMemory refuses access ${what}, and touches nothing (row 1.6) (row 4.5)`, () => {
    const memory = split();
    const bytes = new Uint8Array(length).fill(0xee);
    const refusal = rangeError(() => memory.read(address, bytes));
    assertStringIncludes(refusal, `Cannot access ${length} bytes at guest address`);
    rangeError(() => memory.write(address, bytes));
    rangeError(() => memory.hostAddress(address, length));
    assertEquals(memory.contains(address, length), false);
    assertEquals(memory.containsRange(Float64Array.of(address, length)), false);
    assertEquals(memory.viewOfRange(Float64Array.of(address, length, 0)), undefined);
    assert(image(memory).every((byte) => byte === 0));
    assert(bytes.every((byte) => byte === 0xee));
  });
}

Deno.test("GuestMemory refuses a range that begins and ends in RAM with the hole between (row 1.6)", () => {
  const memory = split();
  const [address, length] = [LOW_SIZE - 8, HIGH - LOW_SIZE + 16];
  assertEquals(memory.contains(address, length), false);
  rangeError(() => memory.hostAddress(address, length));
});

Deno.test("GuestMemory shows a range in a view, with its offset there", () => {
  const memory = split();
  for (const address of [0, 0x1001, LOW_SIZE - 4, HIGH, HIGH + HIGH_SIZE - 4]) {
    const range = Float64Array.of(address, 4, -1);
    assert(memory.containsRange(range));
    memory.writeU32(address, 0xfeedface);
    assertEquals(memory.viewOfRange(range)?.getUint32(range[2] ?? -1, true), 0xfeedface);
  }
});

Deno.test("GuestMemory reads back what was written in each region (row 4.5)", () => {
  const memory = split();
  for (const address of [0, 0x1001, LOW_SIZE - 5, HIGH, HIGH + HIGH_SIZE - 5]) {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5);
    memory.write(address, bytes);
    const back = new Uint8Array(5);
    memory.read(address, back);
    assertEquals(back, bytes);
  }
});

Deno.test("GuestMemory reads and writes numbers little-endian at any alignment", () => {
  const memory = split();
  memory.writeU32(0x1001, 0xfedcba98);
  assertEquals(memory.readU32(0x1001), 0xfedcba98);
  assertEquals(memory.readU16(0x1002), 0xdcba);
  assertEquals(memory.readU8(0x1004), 0xfe);
  memory.writeU16(HIGH + 1, 0x1234);
  memory.writeU8(HIGH + 3, 0x56);
  assertEquals(memory.readU32(HIGH), 0x56123400);
});

Deno.test("GuestMemory refuses numbers that cross the end of RAM", () => {
  const memory = split();
  rangeError(() => memory.readU32(LOW_SIZE - 3));
  rangeError(() => memory.writeU32(LOW_SIZE - 3, 0xffffffff));
  rangeError(() => memory.readU16(LOW_SIZE - 1));
  rangeError(() => memory.writeU16(LOW_SIZE - 1, 0xffff));
  rangeError(() => memory.readU8(LOW_SIZE));
  assertEquals(memory.readU8(LOW_SIZE - 1), 0);
});

Deno.test("GuestMemory takes an access of no bytes at the very end of a region", () => {
  const memory = split();
  memory.write(LOW_SIZE, new Uint8Array());
  assertEquals(memory.contains(HIGH + HIGH_SIZE, 0), true);
  assertEquals(memory.contains(HIGH + HIGH_SIZE + 1, 0), false);
});

Deno.test("GuestMemory views alias RAM", () => {
  const memory = split();
  memory.uint16Array(HIGH + 0x100, 4)[2] = 0xbeef;
  assertEquals(memory.readU16(HIGH + 0x104), 0xbeef);
  memory.dataView(0x200, 8).setUint32(4, 0x1234, true);
  assertEquals(memory.readU32(0x204), 0x1234);
  memory.bytes(0x300, 4)[3] = 9;
  assertEquals(memory.readU8(0x303), 9);
  rangeError(() => memory.bytes(LOW_SIZE - 2, 4));
  rangeError(() => memory.dataView(HIGH - 2, 4));
  rangeError(() => memory.uint16Array(LOW_SIZE - 2, 2));
});

Deno.test("GuestMemory.size counts RAM, not holes", () => {
  assertEquals(split().size, LOW_SIZE + HIGH_SIZE);
});

Deno.test("GuestMemory shows a region that needs several views as one", NEEDS, () => {
  using mapping = Mapping.anonymous(8 * MIB);
  const region = { guestAddress: HIGH, size: 8 * MIB, hostAddress: mapping.address };
  const views: number[] = [];
  const memory = GuestMemory.map([region], (address, length) => {
    views.push(length);
    return viewAt(address, length);
  }, 3 * MIB);
  assertEquals(views, [3 * MIB, 3 * MIB, 3 * MIB, 2 * MIB]);
  const bytes = Uint8Array.from({ length: 7 * MIB }, (_, i) => i % 251);
  memory.write(HIGH + 12345, bytes);
  const back = new Uint8Array(bytes.length);
  memory.read(HIGH + 12345, back);
  assertEquals(back, bytes);
  assertEquals(new Uint8Array(mapping.buffer(), 12345, 1000), bytes.subarray(0, 1000));
  for (const border of [2 * MIB, 3 * MIB, 4 * MIB, 5 * MIB]) {
    memory.writeU32(HIGH + border - 2, 0xcafe0000 + border / MIB);
    assertEquals(memory.readU32(HIGH + border - 2), 0xcafe0000 + border / MIB);
    assertEquals(memory.bytes(HIGH + border - 4096, 8192).length, 8192);
    assertEquals(memory.hostAddress(HIGH + border - 4096, 8192), mapping.address + border - 4096);
  }
  rangeError(() => memory.readU32(HIGH + 8 * MIB - 2));
});

Deno.test("GuestMemory agrees with a plain array on every access", () => {
  fuzz((random) => {
    const memory = split();
    const model = new Uint8Array(LOW_SIZE + HIGH_SIZE);
    for (let i = 0; i < 8; i++) {
      const base = random.pick([0, LOW_SIZE, HIGH, HIGH + HIGH_SIZE, 2 ** 52, 2 ** 64]);
      const address = base + random.between(-40, 40);
      const bytes = random.bytes(random.below(64));
      const end = address + bytes.length;
      const low = address >= 0 && end <= LOW_SIZE;
      const inside = low || (address >= HIGH && end <= HIGH + HIGH_SIZE);
      assertEquals(memory.contains(address, bytes.length), inside);
      if (!inside) rangeError(() => memory.write(address, bytes));
      else {
        memory.write(address, bytes);
        model.set(bytes, low ? address : address - HIGH + LOW_SIZE);
      }
    }
    assertEquals(image(memory), model);
  }, { rounds: 500 });
});
