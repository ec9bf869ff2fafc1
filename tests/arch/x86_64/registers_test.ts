import { assertEquals } from "@std/assert";
import {
  bootGdt,
  linux64Entry,
  pvhEntry,
  realModeEntry,
} from "../../../src/arch/x86_64/registers.ts";

function gdtWords(bytes: Uint8Array): readonly bigint[] {
  return [...new BigUint64Array(bytes.slice().buffer)];
}

Deno.test("bootGdt() packs Linux' flat 64-bit descriptors", () => {
  const { address, bytes } = bootGdt(linux64Entry(0x100200, 0x7000).special);
  assertEquals(address, 0x500);
  assertEquals(gdtWords(bytes), [
    0n,
    0n,
    0x00af_9b00_0000_ffffn,
    0x00cf_9300_0000_ffffn,
    0x0000_8b00_0000_0067n,
    0n,
  ]);
});

Deno.test("bootGdt() packs PVH's 32-bit code descriptor", () => {
  const { bytes } = bootGdt(pvhEntry(0x1000000, 0x6000).special);
  assertEquals(gdtWords(bytes)[2], 0x00cf_9b00_0000_ffffn);
});

Deno.test("linux64Entry() puts the zero page into rsi and turns long mode on", () => {
  const { registers, special } = linux64Entry(0x100200, 0x7000);
  assertEquals(registers.rip, 0x100200n);
  assertEquals(registers.rsi, 0x7000n);
  assertEquals(registers.rflags, 2n);
  assertEquals(special.cr0, 0x8000_0031n);
  assertEquals(special.cr3, 0x9000n);
  assertEquals(special.cr4, 0x20n);
  assertEquals(special.efer, 0x500n);
  assertEquals(special.apic_base, 0xfee0_0900n);
});

Deno.test("pvhEntry() puts the start info into ebx, with paging off", () => {
  const { registers, special } = pvhEntry(0x1000000, 0x6000);
  assertEquals(registers.rbx, 0x6000n);
  assertEquals(special.cr0, 0x31n);
  assertEquals(special.efer, 0n);
});

Deno.test("realModeEntry() starts at cs * 16 + ip", () => {
  const { registers, special } = realModeEntry(0x1000, 0x20);
  assertEquals(special.cs.base, 0x10000n);
  assertEquals(special.cs.selector, 0x1000);
  assertEquals(special.cs.limit, 0xffff);
  assertEquals(registers.rip, 0x20n);
});
