/**
 * What one class of virtio device adds (virtio 1.3 §5): device ids, feature bits, configuration and request layouts. Names
 * are Linux'.
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** Device ids (virtio 1.3 §5). */
export const VIRTIO_ID_BLOCK = 2;
export const VIRTIO_ID_CONSOLE = 3;
export const VIRTIO_ID_RNG = 4;

// Block device (virtio 1.3 §5.2).

/** Feature bits of the block device (virtio 1.3 §5.2.3), as bit numbers. */
export const VIRTIO_BLK_F_SIZE_MAX = 1;
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_CONFIG_WCE = 11;
export const VIRTIO_BLK_F_DISCARD = 13;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;

/** `struct virtio_blk_config` (virtio 1.3 §5.2.4). */
export const VirtioBlkConfig = struct({
  capacity: "u64",
  size_max: "u32",
  seg_max: "u32",
  cylinders: "u16",
  heads: "u8",
  sectors: "u8",
  blk_size: "u32",
  physical_block_exp: "u8",
  alignment_offset: "u8",
  min_io_size: "u16",
  opt_io_size: "u32",
  wce: "u8",
  unused: "u8",
  num_queues: "u16",
  max_discard_sectors: "u32",
  max_discard_seg: "u32",
  discard_sector_alignment: "u32",
  max_write_zeroes_sectors: "u32",
  max_write_zeroes_seg: "u32",
  write_zeroes_may_unmap: "u8",
  unused1: ["u8", 3],
  max_secure_erase_sectors: "u32",
  max_secure_erase_seg: "u32",
  secure_erase_sector_alignment: "u32",
}, { packed: true });

/** `struct virtio_blk_outhdr`, the readable head of every request (virtio 1.3 §5.2.6). */
export const VirtioBlkOuthdr = struct({ type: "u32", ioprio: "u32", sector: "u64" });

/** Request types (virtio 1.3 §5.2.6). */
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;

/** `struct virtio_blk_discard_write_zeroes`, the data of both commands (virtio 1.3 §5.2.6). */
export const VirtioBlkDiscardWriteZeroes = struct({
  sector: "u64",
  num_sectors: "u32",
  flags: "u32",
});

/** Flag of a write-zeroes range: its blocks may be given back to the host. */
export const VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP = 1;

/** Request status (virtio 1.3 §5.2.6). */
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

/** Bytes of the string that VIRTIO_BLK_T_GET_ID gives; shorter ones end in NUL. */
export const VIRTIO_BLK_ID_BYTES = 20;

/** Capacity and sector numbers count 512 bytes, whatever `blk_size` says (virtio 1.3 §5.2.4). */
export const VIRTIO_BLK_SECTOR_SIZE = 512;

// Console device (virtio 1.3 §5.3).

/** Feature bits of the console (virtio 1.3 §5.3.3), as bit numbers. */
export const VIRTIO_CONSOLE_F_SIZE = 0;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1;

/** `struct virtio_console_config` (virtio 1.3 §5.3.4). */
export const VirtioConsoleConfig = struct({
  cols: "u16",
  rows: "u16",
  max_nr_ports: "u32",
  emerg_wr: "u32",
}, { packed: true });

/** `struct virtio_console_control` (virtio 1.3 §5.3.6.2). */
export const VirtioConsoleControl = struct({ id: "u32", event: "u16", value: "u16" });

/** Control events (virtio 1.3 §5.3.6.2). */
export const VIRTIO_CONSOLE_DEVICE_READY = 0;
export const VIRTIO_CONSOLE_PORT_ADD = 1;
export const VIRTIO_CONSOLE_PORT_REMOVE = 2;
export const VIRTIO_CONSOLE_PORT_READY = 3;
export const VIRTIO_CONSOLE_PORT_OPEN = 6;
export const VIRTIO_CONSOLE_PORT_NAME = 7;
