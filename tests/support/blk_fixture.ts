/**
 * A block device on the bench, over a real file.
 *
 * @module
 */

import { O_RDONLY, O_RDWR } from "../../src/abi/linux.ts";
import { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from "../../src/abi/virtio_devices.ts";
import { Fd } from "../../src/host/fd.ts";
import type { DiskEngine } from "../../src/storage/file_disk.ts";
import { Blk, type DiskFactory } from "../../src/virtio/blk.ts";
import { blkSpec } from "../../src/virtio/blk_spec.ts";
import {
  type Buffer,
  type DriverQueue,
  type Handshake,
  TEST_REGIONS,
  type Used,
} from "./driver.ts";
import { MappedMemory } from "./mapped_memory.ts";
import { VirtioBench } from "./virtio_bench.ts";

/** Where `read` and `write` put their data: every request in the same place. */
const DATA = TEST_REGIONS[1];

/** What the disk is like. */
export interface BlkFixtureOptions {
  /** {@linkcode DiskEngine}; `blocking` where absent, which every host has. */
  readonly engine?: DiskEngine;
  readonly readonly?: boolean;
  /** Offered; true where absent. */
  readonly discard?: boolean;
  readonly serial?: string;
  /** What the driver finds at first; true where absent. */
  readonly writeback?: boolean;
  /** Flushes are ignored. */
  readonly unsafe?: boolean;
  /** Sectors; 64 where absent. */
  readonly sectors?: number;
  /** Bytes of each region of guest memory. */
  readonly regionSize?: number;
  readonly handshake?: Handshake;
  /** Another disk than the file. */
  readonly makeDisk?: DiskFactory;
}

/** A disk image of known content, the device over it, and a driver that has initialized it. */
export class BlkFixture implements Disposable {
  readonly path: string;
  readonly bench: VirtioBench;
  readonly #stack = new DisposableStack();

  /** @param options what the disk is like */
  constructor(options: BlkFixtureOptions = {}) {
    const folder = Deno.makeTempDirSync();
    this.#stack.defer(() => Deno.removeSync(folder, { recursive: true }));
    this.path = `${folder}/disk.img`;
    const size = (options.sectors ?? 64) * 512;
    Deno.writeFileSync(this.path, pattern(size));
    const readonly = options.readonly ?? false;
    const discard = options.discard ?? true;
    const { writeback = true, unsafe = false } = options;
    const fd = this.#stack.use(Fd.open(this.path, readonly ? O_RDONLY : O_RDWR));
    const { memory } = this.#stack.use(new MappedMemory(options.regionSize));
    this.bench = this.#stack.use(VirtioBench.open({
      spec: blkSpec({ size, readonly, discard }, writeback),
      device: (context) => new Blk(context, options.makeDisk),
      fds: { image: fd.number },
      options: {
        size,
        readonly,
        discard,
        writeback,
        unsafe,
        engine: options.engine ?? "blocking",
        serial: options.serial ?? "fixture",
      },
      memory,
    }));
    this.bench.initialize(options.handshake);
  }

  /** The device's queue. */
  get queue(): DriverQueue {
    const [queue] = this.bench.driver.queues;
    if (queue === undefined) throw new Error("The device has no queue");
    return queue;
  }

  /** Notifies, and waits until `count` requests have come back. */
  finish(count: number): readonly Used[] {
    this.bench.notify(0);
    const used = [...this.queue.used()];
    for (const start = Date.now(); used.length < count && Date.now() < start + 5000;) {
      this.bench.loop.runOnce(50);
      this.bench.turn();
      used.push(...this.queue.used());
    }
    return used;
  }

  /** Performs one request. */
  perform(
    buffers: readonly Buffer[],
  ): { readonly length: number; readonly status: number | undefined; readonly data: Uint8Array } {
    const head = this.queue.add(buffers, { indirect: this.bench.driver.indirect });
    const length = this.finish(1).find((used) => used.head === head)?.length ?? NaN;
    const written = this.queue.written(head);
    return { length, status: written.at(-1), data: written.slice(0, -1) };
  }

  /** Reads `bytes` bytes from `sector` on. */
  read(sector: number, bytes: number): ReturnType<BlkFixture["perform"]> {
    return this.perform([
      { readable: header(VIRTIO_BLK_T_IN, sector) },
      { writable: bytes, at: DATA },
      { writable: 1 },
    ]);
  }

  /** Writes bytes from `sector` on. */
  write(sector: number, bytes: Uint8Array): ReturnType<BlkFixture["perform"]> {
    return this.perform([
      { readable: header(VIRTIO_BLK_T_OUT, sector) },
      { readable: bytes, at: DATA },
      { writable: 1 },
    ]);
  }

  /** The file's content. */
  file(): Uint8Array {
    return Deno.readFileSync(this.path);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** What the image holds at first. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + Math.trunc(i / 512)) % 251);
}

/** `struct virtio_blk_outhdr`. */
export function header(type: number, sector: number | bigint = 0): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(view.buffer);
}
