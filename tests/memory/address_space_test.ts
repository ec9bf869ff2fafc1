import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { type AddressRange, AddressSpace } from "../../src/memory/address_space.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const IRQCHIP = [
  { name: "IOAPIC", address: 0xfec00000, size: 0x1000 },
  { name: "LAPIC", address: 0xfee00000, size: 0x1000 },
];

function small(reserved: readonly AddressRange[] = []): AddressSpace {
  const space = new AddressSpace({ physicalBits: 40, reserved });
  space.addRam({ name: "ram", address: 0, size: 128 * MIB });
  return space;
}

function refusal(act: () => void): string {
  return assertThrows(act, VireoError).message;
}

Deno.test("AddressSpace.allocate() places aligned windows above RAM (row 1.21)", () => {
  const space = small();
  const first = space.allocate({ name: "a", size: 0x1000, alignment: 0x1000 });
  const second = space.allocate({ name: "b", size: 0x1234, alignment: 0x10000 });
  assertEquals(first, { name: "a", address: 128 * MIB, size: 0x1000 });
  assertEquals(second, { name: "b", address: 128 * MIB + 0x10000, size: 0x10000 });
});

Deno.test("AddressSpace.allocate() fills the lowest gap that fits", () => {
  const space = small();
  space.allocate({ name: "a", size: 0x4000 });
  space.allocate({ name: "b", size: 0x1000 });
  space.remove("a");
  assertEquals(space.allocate({ name: "c", size: 0x2000 }).address, 128 * MIB);
  assertEquals(space.allocate({ name: "d", size: 0x4000 }).address, 128 * MIB + 0x5000);
});

Deno.test("AddressSpace.allocate() goes around fixed windows and starts where it is told", () => {
  const space = new AddressSpace({ physicalBits: 40, allocateFrom: 4 * GIB });
  space.addRam({ name: "ram", address: 0, size: 128 * MIB });
  space.addFixed({ name: "rom", address: 4 * GIB + 0x1000, size: 0x1000 });
  assertEquals(space.allocate({ name: "a", size: 0x1000 }).address, 4 * GIB);
  assertEquals(space.allocate({ name: "b", size: 0x1000 }).address, 4 * GIB + 0x2000);
});

Deno.test("AddressSpace.allocate() refuses what no window can be (row 1.22)", () => {
  const space = small();
  const crooked = () => space.allocate({ name: "a", size: 0x1000, alignment: 0x1800 });
  const empty = () => space.allocate({ name: "a", size: 0 });
  const huge = () => space.allocate({ name: "a", size: 2 ** 40 });
  assertStringIncludes(refusal(crooked), "power of two");
  assertStringIncludes(refusal(empty), "above 0");
  assertStringIncludes(refusal(huge), "address space ends at 0x10000000000");
  assertStringIncludes(refusal(() => space.allocate({ name: "a", size: NaN })), "above 0");
  assertEquals(space.allocations(), []);
});

Deno.test("AddressSpace.addFixed() refuses RAM, a taken window and the irqchip (row 1.23)", () => {
  const bare = small();
  const inRam = () => bare.addFixed({ name: "a", address: 0x1000, size: 0x1000 });
  assertStringIncludes(refusal(inRam), '"ram" at 0x0-0x7ffffff');
  bare.addFixed({ name: "a", address: 0xd0000000, size: 0x1000 });
  const twice = refusal(() => bare.addFixed({ name: "b", address: 0xd0000800, size: 0x1000 }));
  assertStringIncludes(twice, '"b" at 0xd0000800-0xd00017ff');
  assertStringIncludes(twice, '"a" at 0xd0000000-0xd0000fff');
  bare.addFixed({ name: "c", address: 0xfec00000, size: 0x1000 });
  const irqchip = small(IRQCHIP);
  const dead = () => irqchip.addFixed({ name: "c", address: 0xfec00000, size: 0x1000 });
  assertStringIncludes(refusal(dead), '"IOAPIC"');
});

Deno.test("AddressSpace refuses a name that is taken", () => {
  const space = small();
  space.addFixed({ name: "a", address: 0xd0000000, size: 0x1000 });
  const again = () => space.addFixed({ name: "a", address: 0xd0001000, size: 0x1000 });
  assertStringIncludes(refusal(again), "name is taken");
});

Deno.test("AddressSpace lists copies (row 1.24)", () => {
  const space = small(IRQCHIP);
  const window = space.allocate({ name: "a", size: 0x1000 });
  const listed: { name: string }[] = space.allocations();
  listed[0]!.name = "changed";
  listed.length = 0;
  space.fixed().pop();
  assertEquals(space.allocations(), [window]);
  assertEquals(space.fixed(), IRQCHIP);
  assertEquals(space.ram(), [{ name: "ram", address: 0, size: 128 * MIB }]);
});

Deno.test("AddressSpace.allocate() stays above RAM split around the hole (row 1.25)", () => {
  const space = new AddressSpace({ physicalBits: 40, reserved: IRQCHIP });
  space.addRam({ name: "low", address: 0, size: 3328 * MIB });
  space.addRam({ name: "high", address: 4 * GIB, size: 768 * MIB });
  assertEquals(space.ramEnd, 4 * GIB + 768 * MIB);
  assert(space.allocate({ name: "a", size: 0x1000 }).address >= space.ramEnd);
});

Deno.test("AddressSpace refuses RAM and windows past the physical address width (row 4.4)", () => {
  const space = new AddressSpace({ physicalBits: 36 });
  const ram = () => space.addRam({ name: "ram", address: 4 * GIB, size: 61 * GIB });
  const window = () => space.addFixed({ name: "a", address: 2 ** 36 - 0x800, size: 0x1000 });
  assertStringIncludes(refusal(ram), "36 bits");
  assertStringIncludes(refusal(window), "36 bits");
  space.addFixed({ name: "a", address: 2 ** 36 - 0x1000, size: 0x1000 });
});

Deno.test("AddressSpace.addRam() refuses regions that overlap and takes neighbours (row 4.7)", () => {
  const space = new AddressSpace({ physicalBits: 40 });
  const add = (name: string, address: number, size: number) =>
    space.addRam({ name, address, size });
  add("ram", 0x10000, 0x4000);
  assertStringIncludes(refusal(() => add("start", 0xe000, 0x3000)), '"ram"');
  assertStringIncludes(refusal(() => add("end", 0x13000, 0x2000)), '"ram"');
  assertStringIncludes(refusal(() => add("inside", 0x11000, 0x1000)), '"ram"');
  assertStringIncludes(refusal(() => add("equal", 0x10000, 0x4000)), '"ram"');
  add("before", 0xf000, 0x1000);
  add("after", 0x14000, 0x1000);
  assertEquals(space.ram().map(({ name }) => name), ["before", "ram", "after"]);
});

Deno.test("AddressSpace.addRam() takes whole pages only", () => {
  const space = new AddressSpace({ physicalBits: 40 });
  const crooked = () => space.addRam({ name: "ram", address: 0x800, size: 0x1000 });
  const odd = () => space.addRam({ name: "ram", address: 0, size: 0x1001 });
  assertStringIncludes(refusal(crooked), "whole pages");
  assertStringIncludes(refusal(odd), "whole pages");
});
