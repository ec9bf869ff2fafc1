import { assert, assertEquals } from "@std/assert";
import { DECODE_TABLE_SIZE, DecodeTable } from "../../src/bus/decode_table.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { Board } from "../../src/vcpu/board.ts";
import { VCPU_CONTROL_SIZE, VcpuControl } from "../../src/vcpu/control.ts";
import { VirtioState } from "../../src/virtio/virtio_state.ts";
import { descriptorOf } from "../support/descriptor.ts";
import { TEST_SPEC } from "../support/virtio_front.ts";

const WINDOW = 0xd000_0000;
const STATUS = WINDOW + 0x70;

/** A board with one virtio device, and the warnings that come from it. */
function board(): { readonly board: Board; readonly warnings: string[] } {
  const state = SharedState.create(2 ** 20);
  const table = state.allocate(DECODE_TABLE_SIZE, "table");
  const control = new VcpuControl(state, state.allocate(VCPU_CONTROL_SIZE, "vCPU 0"));
  const device = descriptorOf({
    kind: "virtio-mmio",
    id: "test0",
    windows: [{ bus: "memory", base: WINDOW, size: 0x1000 }],
    state: VirtioState.create(state, TEST_SPEC, "test0").offset,
    worker: 0,
  });
  new DecodeTable(state, table).write([device]);
  const warnings: string[] = [];
  const owner = {
    end: () => {},
    mark: () => {},
    warn: (id: string, message: string) => void warnings.push(`${id}: ${message}`),
  };
  return { board: new Board(state, table, control, owner), warnings };
}

Deno.test("Board passes on a few of a million faults of a guest", () => {
  const { board: { memory }, warnings } = board();
  const start = performance.now();
  for (let i = 0; i < 1_000_000; i++) memory.write(STATUS, 4, 0x55);
  const seconds = (performance.now() - start) / 1000;
  assert(warnings.length >= 10 && warnings.length <= 11 + seconds, `${warnings.length} warnings`);
  assertEquals(warnings[0], "test0: Driver wrote status 0x55 while it was 0x0");
});

Deno.test("Board gives accesses that no device has to nobody", () => {
  const { board: { memory, ports } } = board();
  assertEquals([memory.read(WINDOW + 0x1000, 4), ports.read(0xcf8, 4)], [-1, -1]);
  assertEquals([memory.read(WINDOW + 0xffd, 4), memory.read(WINDOW, 4)], [-1, 0x74726976]);
  memory.write(WINDOW - 2, 4, 1);
  ports.write(0xffff, 4, 1);
});
