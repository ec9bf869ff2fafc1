/**
 * The block device (virtio 1.3 §5.2): moves sectors between a disk and guest RAM. Requests run beside each other as far as the
 * disk lets them, and end in any order.
 *
 * @module
 */

import { EOPNOTSUPP, EPOLLIN } from "../abi/linux.ts";
import {
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VirtioBlkConfig,
} from "../abi/virtio_devices.ts";
import { errnoText, VireoError } from "../base/errors.ts";
import {
  type Disk,
  type DiskCompletion,
  type DiskRequest,
  DiskRequestPool,
} from "../storage/disk.ts";
import { fileDisk } from "../storage/file_disk.ts";
import { BLK_HEADER_SIZE, type BlkLimits, BlkRequest, MAX_TRANSFER } from "./blk_request.ts";
import { BLK_QUEUE_SIZE } from "./blk_spec.ts";
import { DescriptorChain } from "./descriptor_chain.ts";
import type { VirtioContext, VirtioDevice } from "./virtio_device.ts";
import type { Virtqueue } from "./virtqueue.ts";

const QUEUE = 0;
/** Requests that run at a time; the others wait in the queue. */
export const BLK_DEPTH = 128;

/** Makes the disk behind a device; another one for tests. */
export type DiskFactory = (context: VirtioContext, complete: DiskCompletion) => Disk;

/**
 * A disk's device. Descriptors, borrowed: `image`, and for I/O past the page cache `direct`. Options: `size` in bytes, `readonly`,
 * `discard`, `serial` (up to 20 bytes for VIRTIO_BLK_T_GET_ID), `engine`, a `DiskEngine`, `alignment`, what direct I/O must
 * be a multiple of, `writeback`, what the driver finds at first, and `unsafe`, whether flushes are ignored.
 */
export class Blk implements VirtioDevice {
  readonly #context: VirtioContext;
  readonly #limits: BlkLimits;
  readonly #id = new Uint8Array(VIRTIO_BLK_ID_BYTES);
  readonly #disk: Disk;
  readonly #pool: DiskRequestPool;
  // What is kept of a request while the disk works on it, by the request's index.
  readonly #heads = new Uint16Array(BLK_DEPTH);
  readonly #statusAddresses = new Float64Array(BLK_DEPTH);
  readonly #writableLengths = new Float64Array(BLK_DEPTH);
  /** Requests that don't run. */
  readonly #free: DiskRequest[];
  readonly #chain: DescriptorChain;
  readonly #request: BlkRequest;
  readonly #writeback: boolean;
  readonly #unsafe: boolean;
  /** What the driver has chosen, for configuration bytes on their way. */
  readonly #wce = new DataView(new ArrayBuffer(1));
  /** Whether a write is on stable storage when it ends: a driver without FLUSH counts on that (virtio 1.3 §5.2.6.2). */
  #writeThrough = false;

  /**
   * A disk on an opened image.
   *
   * @param context of its back
   * @param makeDisk the file's disk where absent
   */
  constructor(context: VirtioContext, makeDisk: DiskFactory = imageDisk) {
    const { options } = context.descriptor;
    this.#context = context;
    this.#limits = {
      size: Number(options["size"]),
      readonly: options["readonly"] === true,
      discard: options["discard"] === true,
    };
    this.#writeback = options["writeback"] !== false;
    this.#unsafe = options["unsafe"] === true;
    new TextEncoder().encodeInto(String(options["serial"] ?? ""), this.#id);
    this.#chain = new DescriptorChain(context.memory, BLK_QUEUE_SIZE);
    this.#request = new BlkRequest(context.memory);
    using stack = new DisposableStack();
    this.#pool = stack.use(new DiskRequestPool(BLK_DEPTH));
    this.#free = [...this.#pool.requests];
    this.#disk = stack.use(makeDisk(context, (request, result) => this.#end(request, result)));
    if (this.#disk.event >= 0) {
      context.loop.add(this.#disk.event, EPOLLIN, () => this.#reap());
    }
    stack.move();
  }

  /** Takes note of what the driver can do. */
  activate(): void {
    const { state } = this.#context;
    state.readConfig(VirtioBlkConfig.wce, this.#wce);
    const writeback = state.hasFeature(VIRTIO_BLK_F_CONFIG_WCE)
      ? this.#wce.getUint8(0) !== 0
      : this.#writeback;
    const flushes = state.hasFeature(VIRTIO_BLK_F_FLUSH);
    this.#writeThrough = !this.#unsafe && !(flushes && writeback);
  }

  /** The driver has chosen between write-back and write-through. */
  configWritten(): void {
    this.activate();
  }

  /** Another driver is to find what the machine's description says. */
  reset(): void {
    this.#context.state.changeConfig(VirtioBlkConfig.wce, Uint8Array.of(this.#writeback ? 1 : 0));
  }

  /** Starts all requests that there is room for; those that end at once go back in the same batch. */
  processQueue(_index: number, queue: Virtqueue): void {
    let left = MAX_TRANSFER;
    for (let more = true; more && this.#free.length > 0;) {
      while (this.#free.length > 0 && (more = queue.pop(this.#chain))) {
        this.#begin(queue);
        // A disk that blocks has done it by now: its worker is to hear of a pause within a bounded time.
        if (this.#disk.event < 0 && (left -= this.#request.length) <= 0) queue.endRound();
      }
      this.#disk.submit();
      // Requests that have ended already make room for those that still wait in the queue.
      this.#disk.reap();
    }
  }

  /** Waits until no request runs: afterwards nothing reads or writes guest memory. */
  drain(): void {
    this.#disk.drain();
    this.#context.complete(QUEUE);
  }

  /** Lets go of the disk. The image's descriptor stays open. */
  close(): void {
    if (this.#disk.event >= 0) this.#context.loop.remove(this.#disk.event);
    this.#disk[Symbol.dispose]();
    this.#pool[Symbol.dispose]();
  }

  /** The disk says that requests have ended. */
  #reap(): void {
    const starved = this.#free.length === 0;
    this.#disk.reap();
    if (starved) this.#context.process(QUEUE);
    else this.#context.complete(QUEUE);
  }

  #begin(queue: Virtqueue): void {
    const chain = this.#chain;
    const request = this.#request;
    request.parse(chain, this.#limits);
    switch (request.action) {
      case "none":
        return this.#answer(queue, request.status, 0);
      case "get-id":
        return this.#answer(queue, VIRTIO_BLK_S_OK, chain.write(0, this.#id));
      case "read":
      case "write":
      case "flush":
      case "discard":
      case "zero":
      case "zero-unmap": {
        if (request.action === "flush" && this.#unsafe) {
          return this.#answer(queue, VIRTIO_BLK_S_OK, 0);
        }
        const started = this.#free.pop();
        if (started === undefined) throw new VireoError("internal", "Cannot start: disk is full");
        started.begin(request.action, request.offset);
        if (!this.#addData(started)) {
          this.#free.push(started);
          return this.#answer(queue, VIRTIO_BLK_S_IOERR, 0);
        }
        this.#heads[started.index] = chain.head;
        this.#statusAddresses[started.index] = request.statusAddress;
        this.#writableLengths[started.index] = chain.writableLength;
        return this.#disk.start(started);
      }
      default:
        return request.action satisfies never;
    }
  }

  /** Points the request at its data in guest memory; false where that is in too many pieces. */
  #addData(started: DiskRequest): boolean {
    const { action, length } = this.#request;
    const chain = this.#chain;
    if (action === "read") return this.#addBuffers(started, chain.readableCount, 0, length);
    if (action === "write") return this.#addBuffers(started, 0, BLK_HEADER_SIZE, length);
    started.length = length;
    return true;
  }

  /** Adds `length` bytes of the chain's buffers from buffer `first` on, after `skip` bytes. */
  #addBuffers(started: DiskRequest, first: number, skip: number, length: number): boolean {
    const chain = this.#chain;
    let left = length;
    for (let i = first; left > 0; i++) {
      const bytes = Math.min(chain.length(i) - skip, left);
      if (bytes > 0) {
        // SAFETY: the queue has checked that the buffer is RAM, and a reset waits for the request's end.
        const address = this.#context.memory.hostAddress(chain.address(i) + skip, bytes);
        if (!started.append(address, bytes)) return false;
        left -= bytes;
      }
      skip = Math.max(0, skip - chain.length(i));
    }
    return true;
  }

  /** Ends a request that never reached the disk. One without room for a status is only given back. */
  #answer(queue: Virtqueue, status: number, written: number): void {
    const { statusAddress } = this.#request;
    if (statusAddress < 0) return queue.pushUsed(this.#chain.head, 0);
    this.#context.memory.writeU8(statusAddress, status);
    queue.pushUsed(this.#chain.head, usedLength(this.#chain.writableLength, written));
  }

  /** The disk has done a request. */
  #end(request: DiskRequest, result: number): void {
    if (result === 0 && request.operation === "write" && this.#writeThrough) {
      request.begin("flush", 0);
      return this.#disk.start(request);
    }
    this.#free.push(request);
    if (result < 0) this.#report(request, result);
    const written = request.operation === "read" && result === 0 ? request.length : 0;
    this.#context.memory.writeU8(this.#statusAddresses[request.index]!, statusOf(result));
    const length = usedLength(this.#writableLengths[request.index]!, written);
    this.#context.queue(QUEUE)?.pushUsed(this.#heads[request.index]!, length);
  }

  #report(request: DiskRequest, result: number): void {
    if (result === -EOPNOTSUPP) return;
    const { operation, offset } = request;
    this.#context.warn(`Cannot ${operation} at byte ${offset} of the disk: ${errnoText(-result)}`);
  }
}

function imageDisk(context: VirtioContext, complete: DiskCompletion): Disk {
  const { fds, options, id } = context.descriptor;
  const fd = fds["image"];
  if (fd === undefined) throw new VireoError("internal", `Cannot run ${id}: it has no image`);
  const engine = options["engine"] === "blocking" ? "blocking" : "io_uring";
  const direct = fds["direct"] === undefined
    ? undefined
    : { fd: fds["direct"], alignment: Number(options["alignment"]) };
  const disk = fileDisk({ fd, direct, engine, depth: BLK_DEPTH, complete });
  if (engine === "io_uring" && disk.event < 0) {
    context.warn("No io_uring for this disk after all: it makes its neighbours wait");
  }
  return disk;
}

/** What the driver is told: a command that the host's file system can't do is one it need not try again. */
function statusOf(result: number): number {
  if (result === 0) return VIRTIO_BLK_S_OK;
  return result === -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/** Bytes written from the start of the writable buffers (virtio 1.3 §2.7.8.2): the status counts where no gap is before it. */
function usedLength(writable: number, written: number): number {
  return written === writable - 1 ? writable : written;
}
