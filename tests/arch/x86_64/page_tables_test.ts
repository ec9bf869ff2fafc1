import { assertEquals } from "@std/assert";
import { identityPageTables } from "../../../src/arch/x86_64/page_tables.ts";

/** Walks the tables as the MMU does; -1 where nothing is mapped. */
function translate(linear: number): number {
  const { address, bytes } = identityPageTables();
  const view = new DataView(bytes.buffer);
  const entry = (table: number, index: number) =>
    Number(view.getBigUint64(table - address + index * 8, true));
  const pml4e = entry(address, Math.floor(linear / 2 ** 39) % 512);
  if (pml4e % 2 === 0) return -1;
  const pdpte = entry(pml4e - 3, Math.floor(linear / 2 ** 30) % 512);
  if (pdpte % 2 === 0) return -1;
  const pde = entry(pdpte - 3, Math.floor(linear / 2 ** 21) % 512);
  return pde - 0x83 + linear % 2 ** 21;
}

for (
  const linear of [0, 0x1234, 0x1fffff, 0x200000, 0x3fffffff, 0x40000000, 0xd0001000, 0xffffffff]
) {
  Deno.test(`identityPageTables() maps 0x${linear.toString(16)} onto itself`, () => {
    assertEquals(translate(linear), linear);
  });
}

Deno.test("identityPageTables() maps nothing from 4 GiB on", () => {
  assertEquals(translate(2 ** 32), -1);
  assertEquals(translate(2 ** 39), -1);
});
