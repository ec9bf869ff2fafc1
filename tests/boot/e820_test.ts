import { assertEquals } from "@std/assert";
import { splitRam } from "../../src/arch/x86_64/layout.ts";
import { type E820Entry, e820Map } from "../../src/boot/e820.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const LOW = { address: 0, size: 0x9fc00, type: 1 };
const BIOS = { address: 0x9fc00, size: 0x60400, type: 2 };
function usableSize(map: readonly E820Entry[]): number {
  return map.filter(({ type }) => type === 1).reduce((sum, { size }) => sum + size, 0);
}

const KVM = { address: 0xfffbc000, size: 0x4000, type: 2 };

Deno.test("e820Map() lists 512 MiB without the PC's reserved tail of the first MiB", () => {
  assertEquals(e820Map(splitRam(512 * MIB)), [
    LOW,
    BIOS,
    { address: MIB, size: 511 * MIB, type: 1 },
    KVM,
  ]);
});

Deno.test("e820Map() has no RAM in the hole and RAM again from 4 GiB (row 0.19)", () => {
  assertEquals(e820Map(splitRam(5 * GIB)), [
    LOW,
    BIOS,
    { address: MIB, size: 3327 * MIB, type: 1 },
    KVM,
    { address: 4 * GIB, size: 1792 * MIB, type: 1 },
  ]);
});

for (const size of [128, 512, 3327, 3328, 3329, 4096, 8192, 65536]) {
  Deno.test(`e820Map() of ${size} MiB adds up to it, but for the reserved tail`, () => {
    assertEquals(usableSize(e820Map(splitRam(size * MIB))), size * MIB - BIOS.size);
  });
}

Deno.test("e820Map() marks allocations reserved (row 1.24)", () => {
  const map = e820Map(splitRam(512 * MIB), [
    { address: 0xd0001000, size: 0x1000 },
    { address: 0xd0000000, size: 0x1000 },
    { address: 8 * GIB, size: 2 * MIB },
  ]);
  assertEquals(map.slice(3), [
    { address: 0xd0000000, size: 0x2000, type: 2 },
    KVM,
    { address: 8 * GIB, size: 2 * MIB, type: 2 },
  ]);
});

Deno.test("e820Map() cuts reserved ranges out of RAM", () => {
  const map = e820Map(splitRam(64 * MIB), [
    { address: 16 * MIB, size: MIB },
    { address: 63 * MIB, size: 4 * MIB },
    { address: 20 * MIB, size: 0 },
  ]);
  assertEquals(map.slice(2, -1), [
    { address: MIB, size: 15 * MIB, type: 1 },
    { address: 16 * MIB, size: MIB, type: 2 },
    { address: 17 * MIB, size: 46 * MIB, type: 1 },
    { address: 63 * MIB, size: 4 * MIB, type: 2 },
  ]);
});

Deno.test("e820Map() joins reserved ranges that overlap", () => {
  const map = e820Map(splitRam(64 * MIB), [
    { address: 0xe0000000, size: 0x3000 },
    { address: 0xe0001000, size: 0x1000 },
  ]);
  assertEquals(map[3], { address: 0xe0000000, size: 0x3000, type: 2 });
  assertEquals(map.length, 5);
});
