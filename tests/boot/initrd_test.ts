import { assertEquals, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { initrdAddress } from "../../src/boot/initrd.ts";

const MIB = 2 ** 20;
const BOUNDS = { size: 5000, floor: 24 * MIB, ramEnd: 512 * MIB, addressMax: 0x7fffffff };

Deno.test("initrdAddress() is the highest page below the end of RAM", () => {
  assertEquals(initrdAddress(BOUNDS), 512 * MIB - 8192);
});

Deno.test("initrdAddress() keeps the last byte at or below initrd_addr_max", () => {
  const bounds = { ...BOUNDS, ramEnd: 3328 * MIB, size: 4096 };
  assertEquals(initrdAddress(bounds), 0x7ffff000);
  assertEquals(initrdAddress({ ...bounds, addressMax: 0x7ffffffe }), 0x7fffe000);
});

Deno.test("initrdAddress() fills what is left above the kernel to the last page", () => {
  assertEquals(initrdAddress({ ...BOUNDS, size: 488 * MIB }), 24 * MIB);
});

Deno.test("initrdAddress() refuses what RAM has no room for, with the room", () => {
  assertThrows(
    () => initrdAddress({ ...BOUNDS, size: 488 * MIB + 1 }),
    VireoError,
    `Cannot place an initrd of ${488 * MIB + 1} bytes: RAM has room for ${488 * MIB} above`,
  );
});

Deno.test("initrdAddress() refuses what the kernel's limit has no room for, with the room", () => {
  assertThrows(
    () => initrdAddress({ ...BOUNDS, size: 9 * MIB, addressMax: 32 * MIB - 1 }),
    VireoError,
    `the kernel takes at most ${8 * MIB} below 0x1ffffff`,
  );
});
