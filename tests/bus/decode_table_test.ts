import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { DECODE_TABLE_SIZE, DecodeTable } from "../../src/bus/decode_table.ts";
import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import { SharedState } from "../../src/memory/shared_state.ts";

function device(id: string, options: DeviceDescriptor["options"] = {}): DeviceDescriptor {
  return {
    kind: "virtio-mmio",
    id,
    windows: [{ bus: "memory", base: 0x1_0000_0000, size: 0x1000 }],
    gsi: 5,
    incarnation: 1,
    irqFd: 12,
    state: 4096,
    worker: 0,
    fds: { image: 9 },
    options,
  };
}

function tables(): { readonly ours: DecodeTable; readonly theirs: DecodeTable } {
  const state = SharedState.create(DECODE_TABLE_SIZE + 4096);
  const offset = state.allocate(DECODE_TABLE_SIZE, "table");
  const attached = SharedState.attach(state.buffer);
  return { ours: new DecodeTable(state, offset), theirs: new DecodeTable(attached, offset) };
}

Deno.test("DecodeTable is empty at first", () => {
  assertEquals(tables().theirs.read(), { generation: 0, devices: [] });
});

Deno.test("DecodeTable.write() shows the same descriptors to another isolate", () => {
  const { ours, theirs } = tables();
  const devices = [device("disk0"), device("net0", { mac: "52:54:00:12:34:56", ports: ["ü"] })];
  ours.write(devices);
  assertEquals(theirs.read(), { generation: 1, devices });
});

Deno.test("DecodeTable.generation changes with each write, a shorter list included", () => {
  const { ours, theirs } = tables();
  ours.write([device("disk0"), device("disk1")]);
  ours.write([device("disk1")]);
  assertEquals(theirs.generation, 2);
  assertEquals(theirs.read().devices.map(({ id }) => id), ["disk1"]);
  ours.write([]);
  assertEquals(theirs.read(), { generation: 3, devices: [] });
});

Deno.test("DecodeTable holds a few hundred devices", () => {
  const { ours, theirs } = tables();
  const devices = Array.from({ length: 400 }, (_, i) => device(`disk${i}`));
  ours.write(devices);
  assertEquals(theirs.read().devices.length, 400);
});

Deno.test("DecodeTable.write() refuses more than it holds and keeps the list", () => {
  const { ours, theirs } = tables();
  ours.write([device("disk0")]);
  const huge = device("disk1", { text: "x".repeat(DECODE_TABLE_SIZE) });
  const { message } = assertThrows(() => ours.write([huge]), VireoError);
  assertStringIncludes(message, "use fewer devices");
  const { generation, devices } = theirs.read();
  assert(generation === 1 && devices[0]?.id === "disk0");
});
