/**
 * Identity page tables for entry in long mode.
 *
 * @module
 */

import { PAGE_SIZE, PAGE_TABLES_ADDRESS, PAGE_TABLES_SIZE } from "./layout.ts";
import type { Placement } from "./placement.ts";

/** Page table entry bits (SDM vol. 3A §4.5.4): present and writable. */
const PRESENT_WRITABLE = 0x3;
/** A leaf in the page directory: 2 MiB. Every x86-64 CPU has them; 1 GiB pages are a feature. */
const PAGE_2M = 0x80;
const DIRECTORIES = 4;
const ENTRIES = 512;

/** Six pages that map the first 4 GiB onto themselves: kernel, zero page, command line and initrd all lie there. */
export function identityPageTables(address: number = PAGE_TABLES_ADDRESS): Placement {
  const bytes = new Uint8Array(PAGE_TABLES_SIZE);
  const view = new DataView(bytes.buffer);
  const set = (at: number, entry: number) => view.setBigUint64(at, BigInt(entry), true);
  set(0, address + PAGE_SIZE + PRESENT_WRITABLE);
  for (let directory = 0; directory < DIRECTORIES; directory++) {
    const page = (2 + directory) * PAGE_SIZE;
    set(PAGE_SIZE + directory * 8, address + page + PRESENT_WRITABLE);
    for (let i = 0; i < ENTRIES; i++) {
      set(page + i * 8, (directory * ENTRIES + i) * 0x200000 + PAGE_2M + PRESENT_WRITABLE);
    }
  }
  return { address, bytes };
}
