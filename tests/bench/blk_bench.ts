/**
 * The 4 KiB read path: from an entry in the available ring to one in the used ring, beside `preadv` alone on the same cached
 * file and the same memory. Rounds alternate and the figure is the median. Buffers lie above 4 GiB, so that boxing would show.
 *
 * @module
 */

import { O_RDONLY } from "../../src/abi/linux.ts";
import { VIRTIO_BLK_S_OK, VIRTIO_BLK_T_IN } from "../../src/abi/virtio_devices.ts";
import { Fd } from "../../src/host/fd.ts";
import { preadv } from "../../src/host/file.ts";
import { DiskRequestPool } from "../../src/storage/disk.ts";
import type { DiskEngine } from "../../src/storage/file_disk.ts";
import { ioUringAvailable } from "../../src/storage/uring_file.ts";
import { BlkFixture, header } from "../support/blk_fixture.ts";
import { TEST_REGIONS } from "../support/driver.ts";
import { type Figure, median, printFigures } from "./figures.ts";

/** What was measured of one engine. */
export interface BlkFigure {
  readonly engine: DiskEngine;
  /** Requests that the driver offers at a time. */
  readonly batch: number;
  /** Nanoseconds per request, medians. */
  readonly request: number;
  /** The same of `preadv` alone. */
  readonly preadv: number;
  /** Nanoseconds that the device adds to `preadv`. */
  readonly added: number;
  /** Bytes of heap that a request costs, median of the rounds. */
  readonly allocated: number;
}

const READ_SIZE = 4096;
const SECTORS = 2048;
const ROUNDS = 101;
const WARM_UP = 50;
/** Blocks that are read, by turns. */
const BLOCKS = 64;
/** Reads of one round, whatever the batch. */
const READS = 16 * BLOCKS;

/** Measures both engines with single requests and with batches. */
export function blkBench(): BlkFigure[] {
  const engines = ioUringAvailable() ? ["io_uring", "blocking"] as const : ["blocking"] as const;
  return engines.flatMap((engine) => [1, 64].map((batch) => measure(engine, batch)));
}

function measure(engine: DiskEngine, batch: number): BlkFigure {
  using fixture = new BlkFixture({ engine, sectors: SECTORS, regionSize: 2 ** 20 });
  using reader = new Reader(fixture.path, fixture);
  const device = new Device(fixture, batch);
  const requests: number[] = [];
  const reads: number[] = [];
  const bytes: number[] = [];
  for (let i = -WARM_UP; i < ROUNDS; i++) {
    const heap = Deno.memoryUsage().heapUsed;
    const request = timed(() => device.round());
    bytes.push((Deno.memoryUsage().heapUsed - heap) / READS);
    const read = timed(() => reader.round());
    if (i < 0) continue;
    requests.push(request / READS);
    reads.push(read / READS);
  }
  const request = median(requests);
  const preadv = median(reads);
  const allocated = median(bytes.slice(WARM_UP));
  return { engine, batch, request, preadv, added: request - preadv, allocated };
}

/** Offers the same requests again and again. */
class Device {
  readonly #fixture: BlkFixture;
  readonly #batch: number;

  constructor(fixture: BlkFixture, batch: number) {
    this.#fixture = fixture;
    this.#batch = batch;
    const { queue } = fixture;
    const { memory } = fixture.bench;
    for (let head = 0; head < queue.size; head++) {
      const slot = head % BLOCKS;
      const table = TEST_REGIONS[1] + head * 64;
      const outhdr = TEST_REGIONS[1] + 0x8000 + head * 16;
      memory.write(outhdr, header(VIRTIO_BLK_T_IN, slot * 8));
      queue.writeDescriptor(table, 0, { address: outhdr, length: 16, flags: 1, next: 1 });
      const data = { address: dataAddress(slot), length: READ_SIZE, flags: 3, next: 2 };
      queue.writeDescriptor(table, 1, data);
      queue.writeDescriptor(table, 2, { address: statusAddress(slot), length: 1, flags: 2 });
      queue.setDescriptor(head, { address: table, length: 48, flags: 4 });
      memory.writeU16(queue.availAddress + 4 + head * 2, head);
    }
  }

  round(): void {
    const { queue, bench } = this.#fixture;
    for (let done = 0; done < READS; done += this.#batch) {
      queue.availIdx = (queue.availIdx + this.#batch) % 0x1_0000;
      bench.back.process(0);
      // Reads of cached pages end within the call; one that did not is waited for.
      while (queue.usedIdx !== queue.availIdx) bench.loop.runOnce(1000);
    }
    const status = bench.memory.readU8(statusAddress(BLOCKS - 1));
    if (status !== VIRTIO_BLK_S_OK) throw new Error(`A read ended with status ${status}`);
    bench.memory.writeU8(statusAddress(BLOCKS - 1), 0xff);
  }
}

/** Reads the same blocks to the same places without a device. */
class Reader implements Disposable {
  readonly #fd: Fd;
  readonly #pool = new DiskRequestPool(BLOCKS);

  constructor(path: string, { bench }: BlkFixture) {
    this.#fd = Fd.open(path, O_RDONLY);
    for (const request of this.#pool.requests) {
      request.begin("read", request.index * READ_SIZE);
      const address = bench.memory.hostAddress(dataAddress(request.index), READ_SIZE);
      request.append(address, READ_SIZE);
    }
  }

  round(): void {
    const { requests } = this.#pool;
    for (let done = 0; done < READS; done += BLOCKS) {
      for (const { iovecs, offset } of requests) preadv(this.#fd.number, iovecs, 1, offset);
    }
  }

  [Symbol.dispose](): void {
    this.#fd.close();
    this.#pool[Symbol.dispose]();
  }
}

function dataAddress(slot: number): number {
  return TEST_REGIONS[2] + 0x4_0000 + slot * READ_SIZE;
}

function statusAddress(slot: number): number {
  return TEST_REGIONS[2] + 0x3_0000 + slot;
}

/** Nanoseconds that `work` takes. */
function timed(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) * 1e6;
}

if (import.meta.main) printFigures(blkBench().flatMap(rows));

function rows({ engine, batch, request, preadv, added, allocated }: BlkFigure): Figure[] {
  const what = `4 KiB read by ${engine}, ${batch} at a time`;
  return [
    { what, value: `${request.toFixed(0)} ns, preadv ${preadv.toFixed(0)} ns` },
    { what: `${what}: added`, value: `${added.toFixed(0)} ns` },
    { what: `${what}: allocated`, value: `${allocated.toFixed(1)} bytes` },
  ];
}
