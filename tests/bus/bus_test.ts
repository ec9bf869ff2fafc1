import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { Bus } from "../../src/bus/bus.ts";
import type { BusDevice } from "../../src/bus/bus_device.ts";
import { fuzz } from "../support/random.ts";

/** Answers each read with its own number, and notes every access as text. */
class Recorder implements BusDevice {
  readonly accesses: string[] = [];
  readonly #answer: number;

  constructor(answer = 0) {
    this.#answer = answer;
  }

  read(offset: number, size: number): number {
    this.accesses.push(`read ${offset} ${size}`);
    return this.#answer;
  }

  write(offset: number, size: number, value: number): void {
    this.accesses.push(`write ${offset} ${size} ${value}`);
  }
}

/** Knows 8-byte accesses as well. */
class WideRecorder extends Recorder {
  readWide(offset: number): bigint {
    this.accesses.push(`readWide ${offset}`);
    return 0x1122_3344_5566_7788n;
  }

  writeWide(offset: number, value: bigint): void {
    this.accesses.push(`writeWide ${offset} ${value}`);
  }
}

Deno.test("Bus gives an access to the device whose window holds it, by its offset", () => {
  const bus = new Bus();
  const [low, high] = [new Recorder(0x11), new Recorder(0x22)];
  bus.insert({ base: 0x3f8, size: 8 }, low, "serial0");
  bus.insert({ base: 0xd0000000, size: 0x1000, offset: 0x100 }, high, "disk0");
  assertEquals(bus.read(0x3fd, 1), 0x11);
  bus.write(0xd0000ffc, 4, 0xffffffff);
  assertEquals(low.accesses, ["read 5 1"]);
  assertEquals(high.accesses, [`write ${0x100 + 0xffc} 4 ${0xffffffff}`]);
});

Deno.test("Bus reads all ones where there is no device, and drops writes", () => {
  const bus = new Bus();
  assertEquals([bus.read(0x80, 1), bus.read(0x80, 2), bus.read(0x80, 4)], [
    0xff,
    0xffff,
    -1,
  ]);
  assertEquals(bus.readWide(0xd0000000), 0xffff_ffff_ffff_ffffn);
  bus.write(0x80, 1, 0);
  bus.writeWide(0xd0000000, 0n);
});

Deno.test("Bus gives an access across a window's end to nobody", () => {
  const bus = new Bus();
  const [first, second] = [new Recorder(), new Recorder()];
  bus.insert({ base: 0x100, size: 4 }, first, "first");
  bus.insert({ base: 0x104, size: 4 }, second, "second");
  assertEquals(bus.read(0x102, 4), -1);
  bus.write(0x103, 2, 0);
  assertEquals(bus.read(0xfe, 4), -1);
  assertEquals([first.accesses, second.accesses], [[], []]);
  bus.read(0x102, 2);
  bus.read(0x102, 4);
  assertEquals(first.accesses, ["read 2 2"], "nor right after one that hit");
});

Deno.test("Bus passes 8-byte accesses to devices that know them", () => {
  const bus = new Bus();
  const [narrow, wide] = [new Recorder(), new WideRecorder()];
  bus.insert({ base: 0x1000, size: 0x10 }, narrow, "narrow");
  bus.insert({ base: 0x2000, size: 0x10 }, wide, "wide");
  assertEquals(bus.readWide(0x1000), 0xffff_ffff_ffff_ffffn);
  bus.writeWide(0x1000, 1n);
  assertEquals(bus.readWide(0x2008), 0x1122_3344_5566_7788n);
  bus.writeWide(0x2000, 5n);
  assertEquals(bus.readWide(0x200c), 0xffff_ffff_ffff_ffffn, "across the end");
  assertEquals([narrow.accesses, wide.accesses], [[], ["readWide 8", "writeWide 0 5"]]);
});

Deno.test("Bus.insert() refuses overlapping windows and names both devices (row 1.20)", () => {
  const bus = new Bus();
  bus.insert({ base: 0x1000, size: 0x1000 }, new Recorder(), "disk0");
  for (const base of [0x0801, 0x1000, 0x1800, 0x1fff]) {
    const act = () => bus.insert({ base, size: 0x800 }, new Recorder(), "net0");
    const { message } = assertThrows(act, VireoError);
    assertStringIncludes(message, `net0 at 0x${base.toString(16)}-`);
    assertStringIncludes(message, "disk0 is at 0x1000-0x1fff");
  }
  const around = () => bus.insert({ base: 0, size: 0x10000 }, new Recorder(), "net0");
  assertThrows(around, VireoError);
  bus.insert({ base: 0x0800, size: 0x800 }, new Recorder(), "before");
  bus.insert({ base: 0x2000, size: 0x800 }, new Recorder(), "after");
  assertEquals([bus.owner(0xfff), bus.owner(0x1000), bus.owner(0x2000)], [
    "before",
    "disk0",
    "after",
  ]);
});

Deno.test("Bus.insert() refuses an empty window", () => {
  const bus = new Bus();
  const act = () => bus.insert({ base: 0x1000, size: 0 }, new Recorder(), "disk0");
  assertStringIncludes(assertThrows(act, VireoError).message, "its window is empty");
});

Deno.test("Bus.remove() takes all windows of a device away, and its last answer with them", () => {
  const bus = new Bus();
  const device = new Recorder();
  bus.insert({ base: 0x60, size: 1 }, device, "i8042");
  bus.insert({ base: 0x64, size: 1 }, device, "i8042");
  bus.insert({ base: 0x70, size: 2 }, new Recorder(7), "rtc0");
  bus.read(0x64, 1);
  bus.remove("i8042");
  assertEquals([bus.read(0x60, 1), bus.read(0x64, 1), bus.read(0x70, 1)], [0xff, 0xff, 7]);
  assertEquals(device.accesses, ["read 0 1"]);
});

Deno.test("Bus finds the device that a search through all of them finds", () => {
  fuzz((random) => {
    const bus = new Bus();
    const windows: { base: number; size: number; id: string }[] = [];
    for (let i = 0; i < 12; i++) {
      const window = {
        base: 0xd0000000 + random.below(200),
        size: 1 + random.below(20),
        id: `${i}`,
      };
      const free = windows.every(({ base, size }) =>
        window.base + window.size <= base || base + size <= window.base
      );
      if (!free) {
        assertThrows(() => bus.insert(window, new Recorder(), window.id), VireoError);
        continue;
      }
      bus.insert(window, new Recorder(i), window.id);
      windows.push(window);
    }
    for (let i = 0; i < 40; i++) {
      const address = 0xd0000000 + random.between(-10, 230);
      const size = random.pick([1, 2, 4]);
      const owner = windows.find(({ base, size: length }) =>
        address >= base && address + size <= base + length
      );
      const ones = size === 4 ? -1 : 2 ** (8 * size) - 1;
      const expected = owner === undefined ? ones : Number(owner.id);
      assertEquals(bus.read(address, size), expected);
    }
  }, { rounds: 500 });
});
