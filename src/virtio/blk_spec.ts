/**
 * What a driver finds of a disk: the block device's features and configuration space (virtio 1.3 §5.2.3 and §5.2.4).
 *
 * @module
 */

import {
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_SIZE_MAX,
  VIRTIO_BLK_F_WRITE_ZEROES,
  VIRTIO_BLK_SECTOR_SIZE,
  VIRTIO_ID_BLOCK,
  VirtioBlkConfig,
} from "../abi/virtio_devices.ts";
import { sizeof } from "../base/struct.ts";
import { MAX_SEGMENTS } from "../storage/disk.ts";
import { type BlkLimits, MAX_DISCARD_SECTORS } from "./blk_request.ts";
import type { VirtioSpec } from "./virtio_spec.ts";

/** A request uses at most as many buffers as the queue has entries, and its data {@linkcode MAX_SEGMENTS} of them. */
export const BLK_QUEUE_SIZE: number = MAX_SEGMENTS;
/** Two buffers of each request are its header and status. */
const SEG_MAX = BLK_QUEUE_SIZE - 2;
/** Most bytes of each buffer, so that no driver that heeds it goes beyond what a request may move. */
const SIZE_MAX = 65536;
/** Discards are best aligned to blocks of the host's file systems: sectors of a 4 KiB block. */
const DISCARD_ALIGNMENT = 8;

/**
 * One queue, flushing, and where the disk may be written also discarding.
 *
 * @param writeback whether the driver finds a cache that it has to flush; it may choose otherwise (virtio 1.3 §5.2.5)
 */
export function blkSpec(disk: BlkLimits, writeback = true): VirtioSpec {
  const discard = disk.discard && !disk.readonly;
  const config = new Uint8Array(sizeof(VirtioBlkConfig));
  const view = new DataView(config.buffer);
  const sectors = disk.size / VIRTIO_BLK_SECTOR_SIZE;
  view.setBigUint64(VirtioBlkConfig.capacity, BigInt(sectors), true);
  view.setUint32(VirtioBlkConfig.size_max, SIZE_MAX, true);
  view.setUint32(VirtioBlkConfig.seg_max, SEG_MAX, true);
  view.setUint32(VirtioBlkConfig.blk_size, VIRTIO_BLK_SECTOR_SIZE, true);
  view.setUint8(VirtioBlkConfig.wce, writeback ? 1 : 0);
  view.setUint16(VirtioBlkConfig.num_queues, 1, true);
  if (discard) {
    view.setUint32(VirtioBlkConfig.max_discard_sectors, MAX_DISCARD_SECTORS, true);
    view.setUint32(VirtioBlkConfig.max_discard_seg, 1, true);
    view.setUint32(VirtioBlkConfig.discard_sector_alignment, DISCARD_ALIGNMENT, true);
    view.setUint32(VirtioBlkConfig.max_write_zeroes_sectors, MAX_DISCARD_SECTORS, true);
    view.setUint32(VirtioBlkConfig.max_write_zeroes_seg, 1, true);
    view.setUint8(VirtioBlkConfig.write_zeroes_may_unmap, 1);
  }
  return {
    deviceId: VIRTIO_ID_BLOCK,
    features: [
      VIRTIO_BLK_F_SIZE_MAX,
      VIRTIO_BLK_F_SEG_MAX,
      VIRTIO_BLK_F_BLK_SIZE,
      VIRTIO_BLK_F_FLUSH,
      VIRTIO_BLK_F_CONFIG_WCE,
      ...disk.readonly ? [VIRTIO_BLK_F_RO] : [],
      ...discard ? [VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES] : [],
    ],
    queueSizes: [BLK_QUEUE_SIZE],
    config,
    writableConfig: [VirtioBlkConfig.wce, VirtioBlkConfig.wce + 1],
  };
}
