import { assertEquals } from "@std/assert";
import {
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
} from "../../src/abi/virtio_devices.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import {
  type BlkLimits,
  BlkRequest,
  MAX_DISCARD_SECTORS,
  MAX_TRANSFER,
} from "../../src/virtio/blk_request.ts";
import { DescriptorChain } from "../../src/virtio/descriptor_chain.ts";
import { Random } from "../support/random.ts";
import { readsOf, readTwice } from "../support/reads.ts";

const SECTORS = 16;
const LIMITS: BlkLimits = { size: SECTORS * 512, readonly: false, discard: true };
const READONLY: BlkLimits = { ...LIMITS, readonly: true };

interface Given {
  readonly type: number;
  readonly sector?: number | bigint;
  /** Readable bytes after the header. */
  readonly data?: Uint8Array | number;
  /** Writable bytes, status included. */
  readonly writable: number;
  readonly limits?: BlkLimits;
  /** How the readable bytes are cut into buffers; one buffer where absent. */
  readonly cuts?: readonly number[];
}

const MEMORY = 0x10000;

/** Lays a request out in memory at 0x1000 (readable) and 0x8000 (writable) and parses it. */
function parse(given: Given): BlkRequest {
  const memory = GuestMemory.onBuffers([{ guestAddress: 0, buffer: new ArrayBuffer(MEMORY) }]);
  const data = typeof given.data === "object" ? given.data : new Uint8Array(given.data ?? 0);
  memory.writeU32(0x1000, given.type);
  const sector = BigInt(given.sector ?? 0);
  memory.writeU32(0x1008, Number(sector % 2n ** 32n));
  memory.writeU32(0x100c, Number(sector / 2n ** 32n));
  memory.write(0x1010, data);
  const chain = new DescriptorChain(memory, 64);
  chain.begin(0);
  let at = 0x1000;
  for (const cut of given.cuts ?? [16 + data.length]) {
    chain.add(Float64Array.of(at, cut), false);
    at += cut;
  }
  if (given.writable > 0) chain.add(Float64Array.of(0x8000, given.writable), true);
  const request = new BlkRequest(memory);
  request.parse(chain, given.limits ?? LIMITS);
  return request;
}

function outcome(given: Given): [action: string, status: number, offset: number, length: number] {
  const { action, status, offset, length } = parse(given);
  return [action, status, offset, length];
}

function range(sector: number, count: number, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, count, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
}

const REFUSED = ["none", VIRTIO_BLK_S_IOERR, 0, 0];
const UNSUPPORTED = ["none", VIRTIO_BLK_S_UNSUPP, 0, 0];

Deno.test("BlkRequest.parse() reads and writes up to the last sector", () => {
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, sector: 3, writable: 1025 }), [
    "read",
    VIRTIO_BLK_S_OK,
    1536,
    1024,
  ]);
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, sector: SECTORS - 1, writable: 513 }), [
    "read",
    VIRTIO_BLK_S_OK,
    7680,
    512,
  ]);
  assertEquals(outcome({ type: VIRTIO_BLK_T_OUT, data: SECTORS * 512, writable: 1 }), [
    "write",
    VIRTIO_BLK_S_OK,
    0,
    8192,
  ]);
});

Deno.test("BlkRequest.parse() refuses sectors beyond the end, however large", () => {
  for (
    const sector of [
      SECTORS,
      SECTORS + 1,
      2 ** 32,
      2 ** 44,
      2n ** 55n,
      2n ** 55n + 1n,
      2n ** 64n - 1n,
    ]
  ) {
    assertEquals(outcome({ type: VIRTIO_BLK_T_IN, sector, writable: 513 }), REFUSED, `${sector}`);
    assertEquals(outcome({ type: VIRTIO_BLK_T_OUT, sector, data: 512, writable: 1 }), REFUSED);
  }
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, sector: SECTORS - 1, writable: 1025 }), REFUSED);
});

Deno.test("BlkRequest.parse() refuses data that is missing or not whole sectors", () => {
  for (const length of [0, 1, 511, 513, 1000]) {
    assertEquals(outcome({ type: VIRTIO_BLK_T_IN, writable: length + 1 }), REFUSED);
    assertEquals(outcome({ type: VIRTIO_BLK_T_OUT, data: length, writable: 1 }), REFUSED);
  }
});

Deno.test("BlkRequest.parse() refuses to move more than 16 MiB at once", () => {
  const limits = { ...LIMITS, size: 2 ** 40 };
  const read = (length: number) => outcome({ type: VIRTIO_BLK_T_IN, writable: length + 1, limits });
  assertEquals(read(MAX_TRANSFER), ["read", VIRTIO_BLK_S_OK, 0, 2 ** 24]);
  assertEquals(read(MAX_TRANSFER + 512), REFUSED);
  const cuts = [16, MAX_TRANSFER, 512];
  assertEquals(outcome({ type: VIRTIO_BLK_T_OUT, writable: 1, limits, cuts }), REFUSED);
});

Deno.test("BlkRequest.parse() reads each byte of a request once", () => {
  const buffer = new ArrayBuffer(MEMORY);
  const memory = GuestMemory.onBuffers([{ guestAddress: 0, buffer }]);
  const request = new BlkRequest(memory);
  const chain = new DescriptorChain(memory, 8);
  chain.begin(0);
  chain.add(Float64Array.of(0x1000, 16), false);
  chain.add(Float64Array.of(0x8000, 513), true);
  const reads = readsOf(buffer, () => request.parse(chain, LIMITS));
  assertEquals(request.action, "read");
  assertEquals(readTwice(reads), []);
  assertEquals(reads.toSorted((a, b) => a - b).map((at) => at - 0x1000), [
    ...[0, 1, 2, 3],
    ...[8, 9, 10, 11, 12, 13, 14, 15],
  ]);
});

Deno.test("BlkRequest.parse() refuses writes to a read-only disk", () => {
  const limits = READONLY;
  assertEquals(outcome({ type: VIRTIO_BLK_T_OUT, data: 512, writable: 1, limits }), REFUSED);
  assertEquals(
    outcome({ type: VIRTIO_BLK_T_DISCARD, data: range(0, 1), writable: 1, limits }),
    REFUSED,
  );
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, writable: 513, limits })[0], "read");
});

Deno.test("BlkRequest.parse() refuses a header of less than 16 bytes", () => {
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, writable: 513, cuts: [15] }), REFUSED);
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, writable: 513, cuts: [] }), REFUSED);
});

Deno.test("BlkRequest.parse() finds no place for a status where nothing is writable", () => {
  const request = parse({ type: VIRTIO_BLK_T_OUT, data: 512, writable: 0 });
  assertEquals([request.action, request.statusAddress], ["none", -1]);
});

Deno.test("BlkRequest.parse() puts the status into the last writable byte", () => {
  assertEquals(parse({ type: VIRTIO_BLK_T_IN, writable: 513 }).statusAddress, 0x8000 + 512);
  assertEquals(parse({ type: 42, writable: 1 }).statusAddress, 0x8000);
});

Deno.test("BlkRequest.parse() takes a status at guest address 0, which is RAM like any other", () => {
  const memory = GuestMemory.onBuffers([{ guestAddress: 0, buffer: new ArrayBuffer(MEMORY) }]);
  const chain = new DescriptorChain(memory, 8);
  chain.begin(0);
  memory.writeU32(0x1000, VIRTIO_BLK_T_FLUSH);
  chain.add(Float64Array.of(0x1000, 16), false);
  chain.add(Float64Array.of(0, 1), true);
  const request = new BlkRequest(memory);
  request.parse(chain, LIMITS);
  assertEquals([request.action, request.statusAddress], ["flush", 0]);
});

Deno.test("BlkRequest.parse() reads all 64 bits of the sector out of a header in pieces", () => {
  const cuts = [3, 6, 7];
  for (const sector of [2n ** 32n, 2n ** 63n]) {
    assertEquals(outcome({ type: VIRTIO_BLK_T_IN, sector, writable: 513, cuts }), REFUSED);
  }
  assertEquals(outcome({ type: VIRTIO_BLK_T_IN, sector: 2, writable: 513, cuts })[2], 1024);
});

Deno.test("BlkRequest.parse() does not mind how the request is cut into buffers", () => {
  const random = new Random(7);
  for (let round = 0; round < 100; round++) {
    const cuts: number[] = [];
    for (let left = 16 + 512; left > 0;) {
      const cut = cuts.length === 20 ? left : random.between(1, Math.min(left, 60));
      cuts.push(cut);
      left -= cut;
    }
    assertEquals(outcome({ type: VIRTIO_BLK_T_OUT, sector: 2, data: 512, writable: 1, cuts }), [
      "write",
      VIRTIO_BLK_S_OK,
      1024,
      512,
    ]);
  }
});

Deno.test("BlkRequest.parse() grants a flush whatever its sector and data", () => {
  assertEquals(outcome({ type: VIRTIO_BLK_T_FLUSH, writable: 1 })[0], "flush");
  assertEquals(
    outcome({ type: VIRTIO_BLK_T_FLUSH, sector: 2n ** 63n, data: 100, writable: 100 })[0],
    "flush",
  );
});

Deno.test("BlkRequest.parse() wants room for all 20 bytes of the id", () => {
  assertEquals(outcome({ type: VIRTIO_BLK_T_GET_ID, writable: 21 })[0], "get-id");
  assertEquals(outcome({ type: VIRTIO_BLK_T_GET_ID, writable: 4096 })[0], "get-id");
  assertEquals(outcome({ type: VIRTIO_BLK_T_GET_ID, writable: 20 }), REFUSED);
});

Deno.test("BlkRequest.parse() does not support other types", () => {
  for (const type of [2, 3, 5, 10, 14, 42, 0x8000_0000, 0xffff_ffff]) {
    assertEquals(outcome({ type, writable: 513 }), UNSUPPORTED);
  }
});

Deno.test("BlkRequest.parse() grants a discard and both ways of writing zeros", () => {
  const given = (type: number, flags: number): Given => ({
    type,
    data: range(2, 4, flags),
    writable: 1,
  });
  assertEquals(outcome(given(VIRTIO_BLK_T_DISCARD, 0)), ["discard", VIRTIO_BLK_S_OK, 1024, 2048]);
  assertEquals(outcome(given(VIRTIO_BLK_T_WRITE_ZEROES, 0))[0], "zero");
  assertEquals(outcome(given(VIRTIO_BLK_T_WRITE_ZEROES, 1))[0], "zero-unmap");
});

Deno.test("BlkRequest.parse() does not support unknown flags, nor unmap in a discard", () => {
  for (
    const [type, flags] of [[VIRTIO_BLK_T_DISCARD, 1], [VIRTIO_BLK_T_WRITE_ZEROES, 2]] as const
  ) {
    assertEquals(outcome({ type, data: range(0, 1, flags), writable: 1 }), UNSUPPORTED);
  }
  const limits = { ...LIMITS, discard: false };
  assertEquals(
    outcome({ type: VIRTIO_BLK_T_DISCARD, data: range(0, 1), writable: 1, limits }),
    UNSUPPORTED,
  );
});

Deno.test("BlkRequest.parse() refuses discards beyond the end, too long, and of other than one range", () => {
  const type = VIRTIO_BLK_T_DISCARD;
  const huge = { ...LIMITS, size: 2 ** 50 };
  assertEquals(outcome({ type, data: range(SECTORS, 1), writable: 1 }), REFUSED);
  assertEquals(outcome({ type, data: range(1, SECTORS), writable: 1 }), REFUSED);
  assertEquals(outcome({ type, data: range(1, SECTORS - 1), writable: 1 })[0], "discard");
  assertEquals(
    outcome({ type, data: range(0, MAX_DISCARD_SECTORS), writable: 1, limits: huge })[0],
    "discard",
  );
  assertEquals(outcome({ type, data: range(0, 0xffff_ffff), writable: 1 }), REFUSED);
  assertEquals(
    outcome({ type, data: range(0, MAX_DISCARD_SECTORS + 1), writable: 1, limits: huge }),
    REFUSED,
  );
  assertEquals(outcome({ type, data: 0, writable: 1 }), REFUSED);
  assertEquals(outcome({ type, data: 15, writable: 1 }), REFUSED);
  assertEquals(outcome({ type, data: 32, writable: 1 }), REFUSED);
});

Deno.test("BlkRequest.parse() has nothing to do for a discard of no sectors", () => {
  assertEquals(outcome({ type: VIRTIO_BLK_T_DISCARD, data: range(0, 0), writable: 1 }), [
    "none",
    VIRTIO_BLK_S_OK,
    0,
    0,
  ]);
});
