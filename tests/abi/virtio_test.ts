import { assertEquals } from "@std/assert";
import * as virtio from "../../src/abi/virtio.ts";
import * as devices from "../../src/abi/virtio_devices.ts";
import { compilerOffsets, compilerValues, ourOffsets } from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";
import { VIRTIO_HEADERS as HEADERS, VIRTIO_PAIRS as PAIRS } from "./layouts.ts";
import golden from "../golden/abi/virtio.json" with { type: "json" };

/** Ours, which no header of Linux names. */
const OURS = [
  "VIRTIO_BLK_SECTOR_SIZE",
  "VIRTIO_MMIO_MAGIC",
  "VIRTIO_MMIO_MODERN_VERSION",
  "VIRTQUEUE_MAX_SIZE",
  "VRING_DESC_SIZE",
  "VRING_USED_ELEM_SIZE",
];

Deno.test("abi/virtio layouts agree with their golden file", () => {
  assertEquals(Object.fromEntries(PAIRS.map((pair) => [pair.c, ourOffsets(pair)])), golden);
});

Deno.test("abi/virtio layouts agree with the C compiler", requirement("gcc"), () => {
  assertEquals(PAIRS.map(ourOffsets), compilerOffsets(HEADERS, PAIRS));
});

Deno.test("abi/virtio constants have the values of Linux' headers", requirement("gcc"), () => {
  const numbers = Object.entries<unknown>({ ...virtio, ...devices })
    .filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const named = Object.fromEntries(numbers.filter(([name]) => !OURS.includes(name)));
  assertEquals(named, compilerValues(HEADERS, Object.keys(named)));
});
