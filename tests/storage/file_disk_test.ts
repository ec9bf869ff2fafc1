import { assertEquals } from "@std/assert";
import { EBADF, EIO, O_RDONLY, O_RDWR, POLLIN } from "../../src/abi/linux.ts";
import { Fd } from "../../src/host/fd.ts";
import { poll } from "../../src/host/file.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { type Disk, DiskRequestPool } from "../../src/storage/disk.ts";
import type { DiskOperation } from "../../src/storage/disk.ts";
import { type DiskEngine, fileDisk } from "../../src/storage/file_disk.ts";
import type { DirectFile } from "../../src/storage/image_file.ts";
import { requirement } from "../support/require.ts";

if (!requirement().ignore) openAllGroups();

const SIZE = 64 * 1024;
const DEPTH = 4;

interface FixtureOptions {
  readonly flags?: number;
  readonly direct?: DirectFile;
}

/** A file of {@linkcode SIZE} bytes, a disk over it, and 64 KiB of memory. */
class Fixture implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly path = `${this.#folder}/disk.img`;
  readonly mapping = Mapping.anonymous(SIZE);
  readonly memory = new Uint8Array(this.mapping.buffer());
  /** What requests ended with, by index; in the order they ended. */
  readonly ends: [index: number, result: number][] = [];
  readonly #pool = new DiskRequestPool(DEPTH);
  readonly #fd: Fd;
  readonly disk: Disk;

  constructor(engine: DiskEngine, { flags = O_RDWR, direct }: FixtureOptions = {}) {
    Deno.writeFileSync(this.path, Uint8Array.from({ length: SIZE }, (_, i) => i % 251));
    this.#fd = Fd.open(this.path, flags);
    this.disk = fileDisk({
      fd: this.#fd.number,
      engine,
      direct,
      depth: DEPTH,
      complete: (request, result) => this.ends.push([request.index, result]),
    });
  }

  /** Starts a request over memory segments `[offset, length]`. */
  start(
    index: number,
    operation: DiskOperation,
    offset: number,
    segments: [number, number][],
  ): void {
    const request = this.#pool.requests[index];
    request?.begin(operation, offset);
    for (const [at, length] of segments) request?.append(this.mapping.address + at, length);
    if (request) this.disk.start(request);
  }

  /** Performs one request over memory segments and gives what it ended with. */
  perform(operation: DiskOperation, offset: number, segments: [number, number][]): number {
    this.start(0, operation, offset, segments);
    this.disk.drain();
    return this.ends.pop()?.[1] ?? NaN;
  }

  /** Performs a request on a range of the disk, without data. */
  range(operation: DiskOperation, offset: number, length: number): number {
    const [request] = this.#pool.requests;
    request?.begin(operation, offset);
    if (request) request.length = length;
    if (request) this.disk.start(request);
    this.disk.drain();
    return this.ends.pop()?.[1] ?? NaN;
  }

  file(): Uint8Array {
    return Deno.readFileSync(this.path);
  }

  [Symbol.dispose](): void {
    this.disk[Symbol.dispose]();
    this.#pool[Symbol.dispose]();
    this.#fd.close();
    this.mapping[Symbol.dispose]();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

for (const engine of ["io_uring", "blocking"] as const) {
  const needs = engine === "io_uring" ? requirement("io_uring") : requirement();

  Deno.test(`A disk by ${engine} reads scattered, straight into memory`, needs, () => {
    using fixture = new Fixture(engine);
    assertEquals(fixture.perform("read", 1024, [[8192, 512], [0, 512]]), 0);
    assertEquals(fixture.memory.slice(8192, 8704), fixture.file().slice(1024, 1536));
    assertEquals(fixture.memory.slice(0, 512), fixture.file().slice(1536, 2048));
    assertEquals(fixture.memory[512], 0);
  });

  Deno.test(`A disk by ${engine} writes gathered`, needs, () => {
    using fixture = new Fixture(engine);
    const before = fixture.file();
    fixture.memory.fill(7, 0, 512).fill(9, 4096, 4608);
    assertEquals(fixture.perform("write", 512, [[4096, 512], [0, 512]]), 0);
    before.fill(9, 512, 1024).fill(7, 1024, 1536);
    assertEquals(fixture.file(), before);
  });

  Deno.test(`A disk by ${engine} fails with EIO where the file has become shorter`, needs, () => {
    using fixture = new Fixture(engine);
    Deno.truncateSync(fixture.path, 1024);
    assertEquals(fixture.perform("read", 512, [[0, 1024]]), -EIO);
    assertEquals(fixture.perform("read", 512, [[0, 512]]), 0);
    assertEquals(fixture.perform("read", 4096, [[0, 512]]), -EIO);
  });

  Deno.test(`A disk by ${engine} gives the errno of a write that fails`, needs, () => {
    using fixture = new Fixture(engine, { flags: O_RDONLY });
    assertEquals(fixture.perform("write", 0, [[0, 512]]), -EBADF);
  });

  Deno.test(`A disk by ${engine} flushes`, needs, () => {
    using fixture = new Fixture(engine);
    assertEquals(fixture.range("flush", 0, 0), 0);
  });

  Deno.test(`A disk by ${engine} zeroes and discards and keeps the file's size`, needs, () => {
    using fixture = new Fixture(engine);
    const before = fixture.file();
    assertEquals(fixture.range("zero-unmap", 4096, 8192), 0);
    assertEquals(fixture.range("discard", 20480, 4096), 0);
    before.fill(0, 4096, 12288).fill(0, 20480, 24576);
    assertEquals(fixture.file(), before);
  });

  Deno.test(
    `A disk by ${engine} goes past the page cache where place, address and length allow it`,
    needs,
    () => {
      using other = new Fixture(engine);
      Deno.writeFileSync(other.path, new Uint8Array(SIZE).fill(0xdd));
      using stand = Fd.open(other.path, O_RDWR);
      using fixture = new Fixture(engine, { direct: { fd: stand.number, alignment: 4096 } });
      const { memory } = fixture;
      const firstBytes = () => [0, 4096, 8192, 8704].map((at) => memory[at]);
      assertEquals(fixture.perform("read", 4096, [[0, 4096], [8192, 4096]]), 0);
      assertEquals(firstBytes(), [0xdd, 0, 0xdd, 0xdd]);
      assertEquals(fixture.perform("read", 512, [[0, 4096]]), 0);
      assertEquals(fixture.perform("read", 4096, [[8704, 4096]]), 0);
      assertEquals(fixture.perform("read", 8192, [[4096, 512]]), 0);
      const file = fixture.file();
      assertEquals(firstBytes(), [file[512], file[8192], 0xdd, file[4096]]);
    },
  );

  Deno.test(`A disk by ${engine} runs all its requests at once`, needs, () => {
    using fixture = new Fixture(engine);
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < DEPTH; index++) {
        fixture.start(index, "read", (round * DEPTH + index) * 256, [[index * 512, 512]]);
      }
      fixture.disk.submit();
      fixture.disk.drain();
      const ended = fixture.ends.splice(0).sort(([a], [b]) => a - b);
      assertEquals(ended, [[0, 0], [1, 0], [2, 0], [3, 0]]);
      const from = round * DEPTH * 256;
      for (let index = 0; index < DEPTH; index++) {
        const at = from + index * 256;
        assertEquals(
          fixture.memory.slice(index * 512, index * 512 + 512),
          fixture.file().slice(at, at + 512),
        );
      }
    }
  });
}

Deno.test(
  "A disk by io_uring tells by its event that requests have ended",
  requirement("io_uring"),
  () => {
    using fixture = new Fixture("io_uring");
    fixture.start(2, "flush", 0, []);
    fixture.disk.submit();
    const pollfd = new Uint8Array(8);
    new DataView(pollfd.buffer).setInt32(0, fixture.disk.event, true);
    new DataView(pollfd.buffer).setInt16(4, POLLIN, true);
    assertEquals(poll(pollfd, 1, 5000), 1);
    fixture.disk.reap();
    assertEquals(fixture.ends, [[2, 0]]);
    assertEquals(poll(pollfd, 1, 0), 0);
  },
);
