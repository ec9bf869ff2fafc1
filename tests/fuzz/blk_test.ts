/**
 * Random requests, legal and hostile, against the block device. The oracle knows a request only by its bytes: it computes the
 * answer with a model of its own (bigints, one flat list of bytes) and then asks that the device gave this answer, that the
 * file is the model's, that memory outside the request's writable buffers is as it was, and that every chain came back once.
 */

import { assertEquals } from "@std/assert";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, O_RDWR } from "../../src/abi/linux.ts";
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
import { Fd } from "../../src/host/fd.ts";
import { fallocate } from "../../src/host/file.ts";
import type { DiskEngine } from "../../src/storage/file_disk.ts";
import { BlkFixture, pattern } from "../support/blk_fixture.ts";
import { TEST_REGIONS } from "../support/driver.ts";
import { fuzz, type Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";
import { MemoryShadow } from "../support/ring_model.ts";

const SECTORS = 16;
const SIZE = SECTORS * 512;
const REGION = 0x8000;
/** The regions without the rings. */
const DATA = [TEST_REGIONS[0], TEST_REGIONS[1]] as const;

interface Piece {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}

/** What the model says of a request. */
interface Answer {
  /** Undefined where there is no room for one. */
  readonly status: number | undefined;
  /** What the writable bytes before the status begin with. */
  readonly data: Uint8Array;
  readonly used: number;
}

for (const engine of ["io_uring", "blocking"] as const) {
  const needs = engine === "io_uring" ? requirement("io_uring") : requirement("ffi");

  Deno.test(`Blk by ${engine} answers random requests as its model does`, needs, () => {
    using attack = new Attack(engine, false);
    fuzz((random) => attack.round(random), { rounds: 500 });
  });

  Deno.test(`Blk by ${engine} never changes a read-only disk`, needs, () => {
    using attack = new Attack(engine, true);
    fuzz((random) => attack.round(random), { rounds: 200 });
    assertEquals(attack.file(), pattern(SIZE));
  });
}

/** A device under attack. */
class Attack implements Disposable {
  readonly #fixture: BlkFixture;
  readonly #readonly: boolean;
  /** Not every file system can zero a range and keep its blocks. */
  readonly #canZero: boolean;
  #model = pattern(SIZE);

  constructor(engine: DiskEngine, readonly: boolean) {
    this.#fixture = new BlkFixture({
      engine,
      readonly,
      sectors: SECTORS,
      regionSize: REGION,
      serial: "attacked",
    });
    this.#readonly = readonly;
    using fd = Fd.open(this.#fixture.path, O_RDWR);
    const mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
    this.#canZero = fallocate(fd.number, mode, SIZE, 512) === 0;
  }

  file(): Uint8Array {
    return this.#fixture.file();
  }

  round(random: Random): void {
    const { bench, queue, path } = this.#fixture;
    this.#model = pattern(SIZE);
    if (!this.#readonly) Deno.writeFileSync(path, this.#model);
    for (const base of DATA) {
      const words = Uint32Array.from({ length: REGION / 4 }, () => random.u32());
      bench.memory.write(base, new Uint8Array(words.buffer));
    }
    for (let i = 0; i < 4; i++) {
      const request = randomRequest(random);
      const pieces = scatter(random, request.length, random.pick(WRITABLE));
      const hostile = random.chance(0.05);
      if (hostile) spoil(random, pieces);
      this.#place(pieces, request);
      pieces.forEach(({ address, length, writable }, at) => {
        const last = at === pieces.length - 1;
        const flags = (last ? 0 : 1) + (writable ? 2 : 0);
        queue.setDescriptor(at, { address, length, flags, next: at + 1 });
      });
      if (pieces.length === 0) continue;
      const legal = inRam(pieces) && ordered(pieces);
      const answer = legal
        ? this.#answer(pieces)
        : { status: undefined, data: new Uint8Array(), used: 0 };
      queue.offer(0);
      const shadow = new MemoryShadow(bench.memory);
      shadow.allow(queue.usedAddress, 6 + 8 * queue.size);
      assertEquals(this.#fixture.finish(1), [{ head: 0, length: answer.used }]);
      this.#compare(legal ? pieces.filter(({ writable }) => writable) : [], answer, shadow);
    }
    assertEquals(this.file(), this.#model);
  }

  /** Writes the request's bytes into the readable pieces, as far as those are memory. */
  #place(pieces: readonly Piece[], request: Uint8Array): void {
    let done = 0;
    for (const { address, length, writable } of pieces) {
      if (writable) continue;
      const { memory } = this.#fixture.bench;
      if (memory.contains(address, length)) {
        memory.write(address, request.slice(done, done + length));
      }
      done += length;
    }
  }

  /** The model: what has to come of the bytes that lie in memory now. Changes the model's file. */
  #answer(pieces: readonly Piece[]): Answer {
    const { memory } = this.#fixture.bench;
    const bytes = Uint8Array.from(
      pieces.filter(({ writable }) => !writable)
        .flatMap(({ address, length }) => [...memory.bytes(address, length)]),
    );
    const room = pieces.reduce((sum, { length, writable }) => sum + (writable ? length : 0), 0) - 1;
    if (room < 0) return { status: undefined, data: new Uint8Array(), used: 0 };
    const answer = (status: number, data = new Uint8Array()): Answer => ({
      status,
      data,
      used: data.length === room ? room + 1 : data.length,
    });
    if (bytes.length < 16) return answer(VIRTIO_BLK_S_IOERR);
    const view = new DataView(bytes.buffer);
    const start = view.getBigUint64(8, true) * 512n;
    const given = bytes.slice(16);
    switch (view.getUint32(0, true)) {
      case VIRTIO_BLK_T_IN:
        if (room === 0 || room % 512 !== 0 || start + BigInt(room) > SIZE) break;
        return answer(VIRTIO_BLK_S_OK, this.#model.slice(Number(start), Number(start) + room));
      case VIRTIO_BLK_T_OUT:
        if (this.#readonly || given.length === 0 || given.length % 512 !== 0) break;
        if (start + BigInt(given.length) > SIZE) break;
        this.#model.set(given, Number(start));
        return answer(VIRTIO_BLK_S_OK);
      case VIRTIO_BLK_T_FLUSH:
        return answer(VIRTIO_BLK_S_OK);
      case VIRTIO_BLK_T_GET_ID:
        if (room < 20) break;
        return answer(VIRTIO_BLK_S_OK, new TextEncoder().encode("attacked".padEnd(20, "\0")));
      case VIRTIO_BLK_T_DISCARD:
        return answer(this.#discard(given, [0]));
      case VIRTIO_BLK_T_WRITE_ZEROES:
        return answer(this.#discard(given, [0, 1]));
      default:
        return answer(VIRTIO_BLK_S_UNSUPP);
    }
    return answer(VIRTIO_BLK_S_IOERR);
  }

  #discard(given: Uint8Array, flags: readonly number[]): number {
    if (this.#readonly || given.length !== 16) return VIRTIO_BLK_S_IOERR;
    const view = new DataView(given.buffer, given.byteOffset);
    if (!flags.includes(view.getUint32(12, true))) return VIRTIO_BLK_S_UNSUPP;
    const start = view.getBigUint64(0, true) * 512n;
    const end = start + BigInt(view.getUint32(8, true)) * 512n;
    if (end > SIZE) return VIRTIO_BLK_S_IOERR;
    const zero = flags.length > 1 && view.getUint32(12, true) === 0;
    if (zero && end > start && !this.#canZero) return VIRTIO_BLK_S_UNSUPP;
    this.#model.fill(0, Number(start), Number(end));
    return VIRTIO_BLK_S_OK;
  }

  #compare(writable: readonly Piece[], { status, data }: Answer, shadow: MemoryShadow): void {
    const { memory } = this.#fixture.bench;
    const written = writable.flatMap(({ address, length }) => [...memory.bytes(address, length)]);
    assertEquals(written.at(-1), status);
    assertEquals(Uint8Array.from(written.slice(0, data.length)), data);
    for (const { address, length } of writable) shadow.allow(address, length);
    assertEquals(shadow.firstChange(), undefined, "no other memory is touched, rings included");
  }

  [Symbol.dispose](): void {
    this.#fixture[Symbol.dispose]();
  }
}

const TYPES = [
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_WRITE_ZEROES,
] as const;
const WRITABLE = [0, 1, 2, 20, 21, 100, 512, 513, 513, 1025, 4097, 8193] as const;
const GIVEN = [0, 1, 16, 32, 511, 512, 512, 513, 1024, 4096, 8192] as const;

/** The readable bytes of a request. */
function randomRequest(random: Random): Uint8Array {
  const type = random.chance(0.9) ? random.pick(TYPES) : random.hostile32();
  const discards = type === VIRTIO_BLK_T_DISCARD || type === VIRTIO_BLK_T_WRITE_ZEROES;
  const given = random.bytes(discards && random.chance(0.8) ? 16 : random.pick(GIVEN));
  const bytes = Uint8Array.of(...random.bytes(16), ...given);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setBigUint64(8, randomSector(random), true);
  if (discards && given.length >= 16) {
    view.setBigUint64(16, randomSector(random), true);
    view.setUint32(24, random.chance(0.8) ? random.below(SECTORS) : random.hostile32(), true);
    view.setUint32(28, random.chance(0.8) ? random.below(2) : random.hostile32(), true);
  }
  return random.chance(0.95) ? bytes : bytes.slice(0, random.below(16));
}

function randomSector(random: Random): bigint {
  if (random.chance(0.8)) return BigInt(random.below(SECTORS + 2));
  return BigInt(random.hostile32()) * 2n ** 32n + BigInt(random.hostile32());
}

/** Cuts readable and writable bytes into pieces that lie anywhere, none on top of another. */
function scatter(random: Random, readable: number, writable: number): Piece[] {
  const pieces: Piece[] = [];
  const next = [TEST_REGIONS[0] + random.below(4096), TEST_REGIONS[1] + random.below(4096)];
  for (const [total, kind] of [[readable, false], [writable, true]] as const) {
    for (let left = total; left > 0;) {
      const length = random.chance(0.5) ? left : random.between(1, left);
      const region = random.below(2);
      const address = next[region] ?? 0;
      pieces.push({ address, length, writable: kind });
      next[region] = address + length + random.below(40);
      left -= length;
      if (pieces.length === 200) return pieces;
    }
  }
  return pieces;
}

/** Makes a chain one that a queue has to refuse, mostly. */
function spoil(random: Random, pieces: Piece[]): void {
  const at = random.below(pieces.length);
  const piece = pieces[at];
  if (piece === undefined) return;
  // Neither on top of the rings, which lie above 4 GiB, nor of another piece: the model knows nothing of those.
  const address = random.hostile32() + random.pick([0, 2]) * 2 ** 32;
  const end = address + piece.length;
  const overlaps = pieces.some((other) =>
    address < other.address + other.length && other.address < end
  );
  if (overlaps) return;
  pieces[at] = random.chance(0.5) ? { ...piece, address } : { ...piece, writable: !piece.writable };
}

function inRam(pieces: readonly Piece[]): boolean {
  return pieces.every(({ address, length }) =>
    TEST_REGIONS.some((base) => address >= base && address + length <= base + REGION)
  );
}

function ordered(pieces: readonly Piece[]): boolean {
  const first = pieces.findIndex(({ writable }) => writable);
  return first < 0 || pieces.slice(first).every(({ writable }) => writable);
}
