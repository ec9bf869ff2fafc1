import { assert, assertEquals } from "@std/assert";
import { EIO, ENOSPC, EOPNOTSUPP } from "../../src/abi/linux.ts";
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from "../../src/abi/virtio.ts";
import {
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_SIZE_MAX,
  VIRTIO_BLK_F_WRITE_ZEROES,
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
import type { Disk, DiskCompletion, DiskRequest } from "../../src/storage/disk.ts";
import { BLK_DEPTH } from "../../src/virtio/blk.ts";
import { blkSpec } from "../../src/virtio/blk_spec.ts";
import { MAX_TRANSFER } from "../../src/virtio/blk_request.ts";
import { BlkFixture, type BlkFixtureOptions, header, pattern } from "../support/blk_fixture.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("ffi");
const OK = VIRTIO_BLK_S_OK;
const IOERR = VIRTIO_BLK_S_IOERR;

Deno.test("blkSpec() offers what a writable and a read-only disk can do", () => {
  const config = (size: number, readonly: boolean) =>
    blkSpec({ size, readonly, discard: true }).features;
  assertEquals(config(512, false), [
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_CONFIG_WCE,
    VIRTIO_BLK_F_DISCARD,
    VIRTIO_BLK_F_WRITE_ZEROES,
  ]);
  assertEquals(config(512, true), [
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_CONFIG_WCE,
    VIRTIO_BLK_F_RO,
  ]);
});

Deno.test("blkSpec() says the capacity in sectors, above 4 GiB and 2 TiB too", () => {
  const sectors = (size: number) => {
    const { config } = blkSpec({ size, readonly: false, discard: true });
    return new DataView(config?.buffer ?? new ArrayBuffer(8)).getBigUint64(0, true);
  };
  assertEquals(sectors(512), 1n);
  assertEquals(sectors(5 * 2 ** 30), 10485760n);
  assertEquals(sectors(2 ** 43), 17179869184n);
});

Deno.test("blkSpec() keeps what a driver may ask for at once within what is granted", () => {
  const { config } = blkSpec({ size: 512, readonly: false, discard: true });
  const view = new DataView(config?.buffer ?? new ArrayBuffer(64));
  const [most, buffers] = [view.getUint32(8, true), view.getUint32(12, true)];
  assertEquals([most, buffers], [65536, 254]);
  assert(most * buffers <= MAX_TRANSFER);
});

for (const engine of ["io_uring", "blocking"] as const) {
  const needs = engine === "io_uring" ? requirement("io_uring") : NEEDS;

  Deno.test(`Blk by ${engine} reads and writes, the last sector included`, needs, () => {
    using fixture = new BlkFixture({ engine });
    assertEquals(fixture.read(3, 1024), {
      length: 1025,
      status: OK,
      data: pattern(32768).slice(1536, 2560),
    });
    assertEquals(fixture.read(63, 512).data, pattern(32768).slice(63 * 512));
    const bytes = crypto.getRandomValues(new Uint8Array(2048));
    assertEquals(fixture.write(60, bytes), { length: 1, status: OK, data: new Uint8Array() });
    assertEquals(fixture.file().slice(60 * 512), bytes);
    assertEquals(fixture.read(60, 2048).data, bytes);
  });

  Deno.test(
    `Blk by ${engine} keeps every byte of a random load (checksums both ways)`,
    needs,
    () => {
      using fixture = new BlkFixture({ engine, sectors: 4096, regionSize: 4 * 2 ** 20 });
      const model = pattern(4096 * 512);
      for (let round = 0; round < 24; round++) {
        const sector = (round * 997) % 4000;
        const bytes = crypto.getRandomValues(new Uint8Array(512 * (1 + round % 64)));
        assertEquals(fixture.write(sector, bytes).status, OK);
        model.set(bytes, sector * 512);
      }
      assertEquals(fixture.file(), model);
      for (let sector = 0; sector < 4096; sector += 256) {
        const { data, status } = fixture.read(sector, 256 * 512);
        assertEquals(status, OK);
        assertEquals(data, model.slice(sector * 512, (sector + 256) * 512));
      }
    },
  );

  Deno.test(
    `Blk by ${engine} gives a full queue back in one batch with one interrupt`,
    needs,
    () => {
      using fixture = new BlkFixture({ engine, handshake: { features: [] } });
      const { queue, bench } = fixture;
      const heads = Array.from(
        { length: 85 },
        (_, i) =>
          queue.add([{ readable: header(VIRTIO_BLK_T_IN, i % 64) }, { writable: 512 }, {
            writable: 1,
          }]),
      );
      const used = fixture.finish(85);
      assertEquals(
        used.map(({ head }) => head).sort((a, b) => a - b),
        heads.sort((a, b) => a - b),
      );
      assert(used.every(({ length }) => length === 513));
      for (const [i, head] of heads.entries()) {
        const sector = pattern(32768).slice(i % 64 * 512, i % 64 * 512 + 512);
        assertEquals(queue.written(head), Uint8Array.of(...sector, OK));
      }
      assert(bench.interrupts >= 1);
      if (engine === "blocking") assertEquals(bench.interrupts, 1);
    },
  );

  Deno.test(`Blk by ${engine} serves more requests than run at a time`, needs, () => {
    using fixture = new BlkFixture({ engine, sectors: 8 });
    const { queue } = fixture;
    const room = queue.prepare([{ readable: header(VIRTIO_BLK_T_IN, 7) }, { writable: 513 }], {
      indirect: true,
    });
    const count = BLK_DEPTH + 100;
    for (let i = 0; i < count; i++) {
      const { address, length } = describe(fixture, room);
      queue.setDescriptor(i, { address, length, flags: 4 });
      queue.offer(i);
    }
    const used = fixture.finish(count);
    assertEquals(used.length, count);
    assertEquals(new Set(used.map(({ head }) => head)).size, count);
    assert(used.every(({ length }) => length === 513));
  });

  Deno.test(`Blk by ${engine} fails reads behind the end of a file that was cut`, needs, () => {
    using fixture = new BlkFixture({ engine });
    Deno.truncateSync(fixture.path, 1024);
    assertEquals(fixture.read(1, 512).status, OK);
    const { status, length } = fixture.read(2, 512);
    assertEquals([status, length], [IOERR, 0]);
    assertEquals(fixture.bench.warnings, [
      "Cannot read at byte 1024 of the disk: EIO (input/output error)",
    ]);
  });

  Deno.test(`Blk by ${engine} discards and writes zeros`, needs, () => {
    using fixture = new BlkFixture({ engine });
    const range = new Uint8Array(new BigUint64Array([8n, 8n]).buffer);
    const command = (type: number) =>
      fixture.perform([{ readable: header(type) }, { readable: range }, { writable: 1 }]);
    const { status } = command(VIRTIO_BLK_T_DISCARD);
    assertEquals(status, OK);
    const zeroed = command(VIRTIO_BLK_T_WRITE_ZEROES).status ?? NaN;
    assert([OK, VIRTIO_BLK_S_UNSUPP].includes(zeroed), "a file system may not know how to zero");
    assertEquals(fixture.file(), pattern(32768).fill(0, 4096, 8192));
  });
}

/** Where the indirect table of a prepared chain lies. */
function describe(fixture: BlkFixture, head: number): { address: number; length: number } {
  const at = fixture.queue.descAddress + head * 16;
  const { memory } = fixture.bench;
  return { address: memory.readU32(at) + memory.readU32(at + 4) * 2 ** 32, length: 32 };
}

Deno.test("Blk gives its serial number, cut to 20 bytes, by GET_ID", NEEDS, () => {
  using fixture = new BlkFixture({ serial: "0123456789abcdefghijKLM" });
  const { data, length, status } = fixture.perform([
    { readable: header(VIRTIO_BLK_T_GET_ID) },
    { writable: 20 },
    { writable: 1 },
  ]);
  assertEquals(new TextDecoder().decode(data), "0123456789abcdefghij");
  assertEquals([length, status], [21, OK]);
});

Deno.test("Blk fills a short serial number with NUL", NEEDS, () => {
  using fixture = new BlkFixture({ serial: "disk0" });
  const { data, length } = fixture.perform([
    { readable: header(VIRTIO_BLK_T_GET_ID) },
    { writable: 32 },
    { writable: 1 },
  ]);
  assertEquals(new TextDecoder().decode(data.slice(0, 20)), "disk0" + "\0".repeat(15));
  assertEquals(length, 20);
});

Deno.test("Blk refuses writes to a read-only disk and changes nothing", NEEDS, () => {
  using fixture = new BlkFixture({ readonly: true });
  const { status, length } = fixture.write(0, new Uint8Array(512));
  assertEquals([status, length], [IOERR, 1]);
  assertEquals(fixture.file(), pattern(32768));
  assertEquals(fixture.read(0, 512).status, OK);
});

Deno.test("Blk answers each malformed request with its status and used length", NEEDS, () => {
  using fixture = new BlkFixture();
  const outcome = (...buffers: Parameters<BlkFixture["perform"]>[0]) => {
    const { status, length } = fixture.perform(buffers);
    return [status, length];
  };
  const read = { readable: header(VIRTIO_BLK_T_IN) };
  const write = { readable: header(VIRTIO_BLK_T_OUT) };
  assertEquals(outcome(read, { writable: 511 }, { writable: 1 }), [IOERR, 0]);
  assertEquals(outcome(read, { writable: 1 }), [IOERR, 1]);
  assertEquals(outcome({ readable: header(VIRTIO_BLK_T_IN, 64) }, { writable: 513 }), [IOERR, 0]);
  assertEquals(outcome(write, { readable: 513 }, { writable: 1 }), [IOERR, 1]);
  assertEquals(outcome(write, { writable: 1 }), [IOERR, 1]);
  assertEquals(outcome({ readable: 15 }, { writable: 1 }), [IOERR, 1]);
  assertEquals(outcome({ writable: 16 }, { writable: 1 }), [IOERR, 0]);
  assertEquals(outcome({ readable: header(42) }, { writable: 1 }), [VIRTIO_BLK_S_UNSUPP, 1]);
  assertEquals(outcome(read, { readable: 512 }), [undefined, 0]);
  assertEquals(outcome(write, { readable: 512 }), [undefined, 0]);
  assertEquals(fixture.file(), pattern(32768));
});

Deno.test("Blk gives a request back untouched whose status lies outside RAM", NEEDS, () => {
  using fixture = new BlkFixture({ handshake: { features: [] } });
  const { queue, bench } = fixture;
  const data = { address: 0xc000_0000, length: 512 };
  bench.memory.write(0x2000, header(VIRTIO_BLK_T_OUT));
  bench.memory.write(data.address, new Uint8Array(512));
  queue.setDescriptor(0, { address: 0x2000, length: 16, flags: 1, next: 1 });
  queue.setDescriptor(1, { ...data, flags: 1, next: 2 });
  queue.setDescriptor(2, { address: 0xd000_0000, length: 1, flags: 2 });
  queue.offer(0);
  assertEquals(fixture.finish(1), [{ head: 0, length: 0 }]);
  assertEquals(fixture.file(), pattern(32768));
  assertEquals(bench.warnings, ["Queue 0: refused a descriptor chain: buffer outside RAM"]);
});

Deno.test(
  "Blk stays with the file that it was given, whatever its path names by now",
  NEEDS,
  () => {
    using fixture = new BlkFixture();
    const other = `${fixture.path}.other`;
    Deno.writeFileSync(other, new Uint8Array(32768));
    Deno.linkSync(fixture.path, `${fixture.path}.kept`);
    Deno.renameSync(other, fixture.path);
    assertEquals(fixture.read(1, 512).data, pattern(32768).slice(512, 1024));
    assertEquals(fixture.write(0, new Uint8Array(512).fill(7)).status, OK);
    assertEquals(fixture.file(), new Uint8Array(32768));
    assertEquals(
      Deno.readFileSync(`${fixture.path}.kept`).subarray(0, 512).every((b) => b === 7),
      true,
    );
  },
);

Deno.test("Blk keeps its size while its file grows", NEEDS, () => {
  using fixture = new BlkFixture();
  Deno.truncateSync(fixture.path, 65536);
  assertEquals(fixture.read(64, 512).status, IOERR);
  assertEquals(fixture.write(64, new Uint8Array(512)).status, IOERR);
  assertEquals(fixture.read(63, 512).status, OK);
});

Deno.test("Blk lets a pause in between however much a disk that blocks has to move", NEEDS, () => {
  using fixture = new BlkFixture({ sectors: 32768, handshake: { features: [] } });
  const { queue, bench } = fixture;
  const data = Array.from({ length: 16 }, () => ({ writable: 2 ** 20, at: 0xc000_0000 }));
  for (let i = 0; i < 3; i++) {
    queue.add([{ readable: header(VIRTIO_BLK_T_IN) }, ...data, { writable: 1 }]);
  }
  bench.signal(bench.descriptor, "notify0");
  const done = [1, 2, 3, 4].map(() => {
    bench.loop.runOnce(0);
    return queue.usedIdx;
  });
  assertEquals(done, [1, 2, 3, 3]);
});

Deno.test("Blk takes a request however it is cut into buffers", NEEDS, () => {
  using fixture = new BlkFixture({
    handshake: { features: [VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX] },
  });
  const bytes = crypto.getRandomValues(new Uint8Array(1024));
  const request = Uint8Array.of(...header(VIRTIO_BLK_T_OUT, 5), ...bytes);
  const cuts = [0, 3, 17, 100, 528, 1039, 1040];
  const buffers = cuts.slice(1).map((end, i) => ({ readable: request.slice(cuts[i], end) }));
  assertEquals(fixture.perform([...buffers, { writable: 1 }]).status, OK);
  assertEquals(fixture.file().slice(2560, 3584), bytes);
  const whole = fixture.perform([
    { readable: header(VIRTIO_BLK_T_IN, 5).slice(0, 9) },
    { readable: header(VIRTIO_BLK_T_IN, 5).slice(9) },
    { writable: 1 },
    { writable: 700 },
    { writable: 324 },
  ]);
  assertEquals(whole, { length: 1025, status: OK, data: bytes });
});

/** A disk that keeps requests until a test ends them. */
class SlowDisk implements Disk {
  readonly event = -1;
  readonly started: DiskRequest[] = [];
  readonly operations: string[] = [];
  /** What every request ends with. */
  result = 0;
  /** Whether requests end as soon as they are started. */
  fast = false;
  drains = 0;
  readonly #complete: DiskCompletion;

  constructor(complete: DiskCompletion) {
    this.#complete = complete;
  }

  start(request: DiskRequest): void {
    this.operations.push(request.operation);
    if (this.fast) this.#complete(request, this.result);
    else this.started.push(request);
  }

  submit(): void {}

  reap(): void {}

  drain(): void {
    this.drains++;
    for (let next = this.started.pop(); next; next = this.started.pop()) {
      this.#complete(next, this.result);
    }
  }

  [Symbol.dispose](): void {}
}

function slowFixture(
  features?: readonly number[],
  options: BlkFixtureOptions = {},
): { fixture: BlkFixture; disk: SlowDisk } {
  const made: SlowDisk[] = [];
  const fixture = new BlkFixture({
    ...options,
    ...features ? { handshake: { features } } : {},
    makeDisk: (_context, complete) => {
      const disk = new SlowDisk(complete);
      made.push(disk);
      return disk;
    },
  });
  const [disk] = made;
  if (disk === undefined) throw new Error("No disk was made");
  return { fixture, disk };
}

Deno.test("Blk says the errno's kind: full disk, I/O error, not supported", NEEDS, () => {
  const { fixture, disk } = slowFixture();
  using _fixture = fixture;
  disk.fast = true;
  disk.result = -ENOSPC;
  assertEquals(fixture.write(0, new Uint8Array(512)).status, IOERR);
  disk.result = -EIO;
  assertEquals(
    fixture.perform([{ readable: header(VIRTIO_BLK_T_FLUSH) }, { writable: 1 }]).status,
    IOERR,
  );
  disk.result = -EOPNOTSUPP;
  const range = new Uint8Array(new BigUint64Array([8n, 8n]).buffer);
  assertEquals(
    fixture.perform([{ readable: header(VIRTIO_BLK_T_DISCARD) }, { readable: range }, {
      writable: 1,
    }]).status,
    VIRTIO_BLK_S_UNSUPP,
  );
  assertEquals(fixture.bench.warnings, [
    "Cannot write at byte 0 of the disk: ENOSPC (no space left on device)",
    "Cannot flush at byte 0 of the disk: EIO (input/output error)",
  ]);
});

Deno.test("Blk flushes each write for a driver without FLUSH, and only for that", NEEDS, () => {
  for (
    const [features, operations] of [[[VIRTIO_BLK_F_FLUSH], ["write"]], [[], [
      "write",
      "flush",
    ]]] as const
  ) {
    const { fixture, disk } = slowFixture(features);
    using _fixture = fixture;
    disk.fast = true;
    assertEquals(fixture.write(0, new Uint8Array(512)).status, OK);
    assertEquals(disk.operations, [...operations]);
  }
});

/** Offset of `wce` in an MMIO window. */
const WCE = 0x120;
const WITH_WCE = [VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE];
const WRITE = ["write"];
const WRITE_AND_FLUSH = ["write", "flush"];

for (
  const [features, writeback, operations] of [
    [WITH_WCE, true, WRITE],
    [WITH_WCE, false, WRITE_AND_FLUSH],
    [[VIRTIO_BLK_F_FLUSH], false, WRITE_AND_FLUSH],
    [[VIRTIO_BLK_F_CONFIG_WCE], true, WRITE_AND_FLUSH],
  ] as const
) {
  const way = writeback ? "write-back" : "write-through";
  Deno.test(
    `Blk that is ${way} does ${operations} for a driver of features ${features}`,
    NEEDS,
    () => {
      const { fixture, disk } = slowFixture(features, { writeback });
      using _fixture = fixture;
      disk.fast = true;
      assertEquals(fixture.bench.front.read(WCE, 1), writeback ? 1 : 0);
      assertEquals(fixture.write(0, new Uint8Array(512)).status, OK);
      assertEquals(disk.operations, [...operations]);
    },
  );
}

Deno.test(
  "Blk follows a driver that changes to write-through, until the next driver",
  NEEDS,
  () => {
    const { fixture, disk } = slowFixture(WITH_WCE);
    using _fixture = fixture;
    const { bench } = fixture;
    disk.fast = true;
    bench.front.write(WCE, 1, 0);
    bench.turn();
    fixture.write(0, new Uint8Array(512));
    assertEquals(disk.operations, WRITE_AND_FLUSH);
    bench.driver.status = 0;
    assertEquals(bench.front.read(WCE, 1), 1);
    bench.initialize({ features: WITH_WCE });
    fixture.write(0, new Uint8Array(512));
    assertEquals(disk.operations, [...WRITE_AND_FLUSH, "write"]);
  },
);

Deno.test("Blk that is unsafe grants flushes and does none", NEEDS, () => {
  const { fixture, disk } = slowFixture(undefined, { unsafe: true });
  using _fixture = fixture;
  disk.fast = true;
  const flush = [{ readable: header(VIRTIO_BLK_T_FLUSH) }, { writable: 1 }];
  assertEquals(fixture.perform(flush), { length: 1, status: OK, data: new Uint8Array() });
  assertEquals(disk.operations, []);
});

Deno.test("Blk finishes its requests before a reset ends, and forgets none", NEEDS, () => {
  const { fixture, disk } = slowFixture();
  using _fixture = fixture;
  const { bench, queue } = fixture;
  queue.add([{ readable: header(VIRTIO_BLK_T_IN) }, { writable: 513 }]);
  queue.add([{ readable: header(VIRTIO_BLK_T_IN, 1) }, { writable: 513 }]);
  bench.notify(0);
  assertEquals([disk.started.length, queue.used().length], [2, 0]);
  bench.driver.status = 0;
  assertEquals([disk.started.length, bench.driver.status], [0, 0]);
  bench.initialize();
  for (let i = 0; i < BLK_DEPTH; i++) {
    fixture.queue.add([{ readable: header(VIRTIO_BLK_T_IN) }, { writable: 513, at: 0x1000 }], {
      indirect: true,
    });
  }
  bench.notify(0);
  assertEquals(disk.started.length, BLK_DEPTH);
});

Deno.test("Blk drains before it closes", NEEDS, () => {
  const { fixture, disk } = slowFixture();
  {
    using _fixture = fixture;
    fixture.queue.add([{ readable: header(VIRTIO_BLK_T_IN) }, { writable: 513 }]);
    fixture.bench.notify(0);
    assertEquals(disk.started.length, 1);
  }
  assertEquals([disk.started.length, disk.drains], [0, 1]);
});

Deno.test("Blk goes on after a pause with what came meanwhile", NEEDS, () => {
  using fixture = new BlkFixture();
  const { bench, queue } = fixture;
  bench.back.drain();
  const head = queue.add([{ readable: header(VIRTIO_BLK_T_IN) }, { writable: 513 }]);
  bench.notify(0);
  assertEquals(queue.used(), []);
  bench.back.resume();
  assertEquals(queue.used(), [{ head, length: 513 }]);
});
