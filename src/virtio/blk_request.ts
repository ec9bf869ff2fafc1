/**
 * Reads a block request out of a descriptor chain (virtio 1.3 §5.2.6): what it wants, or the status with which it is refused.
 * Nothing is done to the disk or to guest memory here.
 *
 * @module
 */

import {
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_SECTOR_SIZE,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
  VirtioBlkDiscardWriteZeroes,
  VirtioBlkOuthdr,
} from "../abi/virtio_devices.ts";
import { sizeof } from "../base/struct.ts";
import { fromHalves, type GuestAddress } from "../memory/guest_address.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { DescriptorChain } from "./descriptor_chain.ts";

/** What a disk allows. */
export interface BlkLimits {
  /** Bytes. */
  readonly size: number;
  /** Whether writing is refused. */
  readonly readonly: boolean;
  /** Whether VIRTIO_BLK_F_DISCARD and VIRTIO_BLK_F_WRITE_ZEROES are offered. */
  readonly discard: boolean;
}

/** What is to be done for a request; `none` where the status is known already. */
export type BlkAction =
  | "none"
  | "read"
  | "write"
  | "flush"
  | "get-id"
  | "discard"
  | "zero"
  | "zero-unmap";

/** Most sectors of one discard or write-zeroes command: 1 GiB, so that none holds up the disk for long. */
export const MAX_DISCARD_SECTORS: number = 2 ** 30 / VIRTIO_BLK_SECTOR_SIZE;

/**
 * Most bytes of one read or write. A chain may name the same memory again and again, up to 4 GiB: requests of that size would
 * keep the disk, and a pause or reset that waits for them, busy for minutes.
 */
export const MAX_TRANSFER: number = 2 ** 24;

/** Bytes before the data in the readable part. */
export const BLK_HEADER_SIZE: number = sizeof(VirtioBlkOuthdr);

/** A request that was read from a chain; made once, filled again and again. */
export class BlkRequest {
  /** What to do. */
  action: BlkAction = "none";
  /** VIRTIO_BLK_S_*, where there is nothing to do. */
  status: number = VIRTIO_BLK_S_OK;
  /** First byte on the disk; exact below 2 ** 53, and refused above. */
  offset = 0;
  /** Bytes to move, discard or zero. */
  length = 0;
  /** Where the status byte goes: the last writable byte; -1 where the guest left no room for it. */
  statusAddress: GuestAddress = -1;
  readonly #memory: GuestMemory;
  /** The header's type, and the halves of its sector: read once, for the guest may change them. */
  #type = 0;
  #sectorLow = 0;
  #sectorHigh = 0;
  readonly #header = new Uint8Array(BLK_HEADER_SIZE);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #range = new Uint8Array(sizeof(VirtioBlkDiscardWriteZeroes));
  readonly #rangeView = new DataView(this.#range.buffer);

  /**
   * No request yet.
   *
   * @param memory where chains lie
   */
  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** Reads the request in `chain`, whatever way it is cut into buffers. Allocates nothing. */
  parse(chain: DescriptorChain, limits: BlkLimits): void {
    this.action = "none";
    this.status = VIRTIO_BLK_S_OK;
    this.offset = 0;
    this.length = 0;
    this.statusAddress = lastWritableByte(chain);
    if (this.statusAddress < 0) return;
    if (!this.#readHeader(chain)) return this.#refuse(VIRTIO_BLK_S_IOERR);
    switch (this.#type) {
      case VIRTIO_BLK_T_IN:
        return this.#transfer("read", chain.writableLength - 1, limits);
      case VIRTIO_BLK_T_OUT:
        return this.#transfer("write", chain.readableLength - BLK_HEADER_SIZE, limits);
      case VIRTIO_BLK_T_FLUSH:
        this.action = "flush";
        return;
      case VIRTIO_BLK_T_GET_ID:
        if (chain.writableLength - 1 < VIRTIO_BLK_ID_BYTES) {
          return this.#refuse(VIRTIO_BLK_S_IOERR);
        }
        this.action = "get-id";
        return;
      case VIRTIO_BLK_T_DISCARD:
      case VIRTIO_BLK_T_WRITE_ZEROES:
        return this.#discard(chain, limits);
      default:
        return this.#refuse(VIRTIO_BLK_S_UNSUPP);
    }
  }

  /** False where there are less than 16 bytes. Drivers put the header into a buffer of its own: that way allocates nothing. */
  #readHeader(chain: DescriptorChain): boolean {
    if (chain.readableCount > 0 && chain.length(0) >= BLK_HEADER_SIZE) {
      const at = chain.address(0);
      this.#type = this.#memory.readU32(at + VirtioBlkOuthdr.type);
      this.#sectorLow = this.#memory.readU32(at + VirtioBlkOuthdr.sector);
      this.#sectorHigh = this.#memory.readU32(at + VirtioBlkOuthdr.sector + 4);
      return true;
    }
    if (chain.read(0, this.#header) < BLK_HEADER_SIZE) return false;
    this.#type = this.#headerView.getUint32(VirtioBlkOuthdr.type, true);
    this.#sectorLow = this.#headerView.getUint32(VirtioBlkOuthdr.sector, true);
    this.#sectorHigh = this.#headerView.getUint32(VirtioBlkOuthdr.sector + 4, true);
    return true;
  }

  #transfer(action: "read" | "write", length: number, limits: BlkLimits): void {
    const offset = fromHalves(this.#sectorLow, this.#sectorHigh) * VIRTIO_BLK_SECTOR_SIZE;
    const whole = length > 0 && length <= MAX_TRANSFER && length % VIRTIO_BLK_SECTOR_SIZE === 0;
    const allowed = action === "read" || !limits.readonly;
    if (!whole || !allowed || offset + length > limits.size) {
      return this.#refuse(VIRTIO_BLK_S_IOERR);
    }
    this.action = action;
    this.offset = offset;
    this.length = length;
  }

  /** One range a command, as the configuration space says (virtio 1.3 §5.2.6.2). */
  #discard(chain: DescriptorChain, limits: BlkLimits): void {
    if (!limits.discard) return this.#refuse(VIRTIO_BLK_S_UNSUPP);
    const exact = chain.readableLength === BLK_HEADER_SIZE + this.#range.length;
    if (!exact || limits.readonly) return this.#refuse(VIRTIO_BLK_S_IOERR);
    chain.read(BLK_HEADER_SIZE, this.#range);
    const flags = this.#rangeView.getUint32(VirtioBlkDiscardWriteZeroes.flags, true);
    const unmap = flags === VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    const zero = this.#type === VIRTIO_BLK_T_WRITE_ZEROES;
    if (flags !== 0 && !(zero && unmap)) return this.#refuse(VIRTIO_BLK_S_UNSUPP);
    const sectors = this.#rangeView.getUint32(VirtioBlkDiscardWriteZeroes.num_sectors, true);
    const low = this.#rangeView.getUint32(VirtioBlkDiscardWriteZeroes.sector, true);
    const high = this.#rangeView.getUint32(VirtioBlkDiscardWriteZeroes.sector + 4, true);
    const offset = fromHalves(low, high) * VIRTIO_BLK_SECTOR_SIZE;
    const length = sectors * VIRTIO_BLK_SECTOR_SIZE;
    if (sectors > MAX_DISCARD_SECTORS || offset + length > limits.size) {
      return this.#refuse(VIRTIO_BLK_S_IOERR);
    }
    // Nothing to do: a range of no sectors is granted, and `fallocate` would refuse it.
    if (length === 0) return;
    this.action = !zero ? "discard" : unmap ? "zero-unmap" : "zero";
    this.offset = offset;
    this.length = length;
  }

  #refuse(status: number): void {
    this.status = status;
  }
}

function lastWritableByte(chain: DescriptorChain): GuestAddress {
  if (chain.count === chain.readableCount) return -1;
  const last = chain.count - 1;
  return chain.address(last) + chain.length(last) - 1;
}
