import { assertEquals } from "@std/assert";
import * as virtio from "../../src/abi/virtio.ts";
import * as devices from "../../src/abi/virtio_devices.ts";
import {
  compilerOffsets,
  compilerValues,
  type LayoutPair,
  ourOffsets,
} from "../support/c_layout.ts";
import { requirement } from "../support/require.ts";
import golden from "../golden/abi/virtio.json" with { type: "json" };

const HEADERS = [
  "linux/virtio_ids.h",
  "linux/virtio_config.h",
  "linux/virtio_ring.h",
  "linux/virtio_mmio.h",
  "linux/virtio_blk.h",
  "linux/virtio_console.h",
];

const PAIRS: readonly LayoutPair[] = [
  { c: "struct vring_desc", layout: virtio.VringDesc },
  { c: "struct vring_avail", layout: virtio.VringAvail },
  { c: "struct vring_used_elem", layout: virtio.VringUsedElem },
  { c: "struct vring_used", layout: virtio.VringUsed },
  {
    c: "struct virtio_blk_config",
    layout: devices.VirtioBlkConfig,
    renamed: {
      cylinders: "geometry.cylinders",
      heads: "geometry.heads",
      sectors: "geometry.sectors",
    },
  },
  { c: "struct virtio_blk_outhdr", layout: devices.VirtioBlkOuthdr },
  { c: "struct virtio_console_config", layout: devices.VirtioConsoleConfig },
  { c: "struct virtio_console_control", layout: devices.VirtioConsoleControl },
];

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
