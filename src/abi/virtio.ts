/**
 * What every virtio device shares (virtio 1.3 §2, §4.2, §6): device status, ring features, the split virtqueue's layouts and
 * the registers of the MMIO transport. Names are Linux'.
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** Device status bits (virtio 1.3 §2.1). */
export const VIRTIO_CONFIG_S_ACKNOWLEDGE = 1;
export const VIRTIO_CONFIG_S_DRIVER = 2;
export const VIRTIO_CONFIG_S_DRIVER_OK = 4;
export const VIRTIO_CONFIG_S_FEATURES_OK = 8;
export const VIRTIO_CONFIG_S_NEEDS_RESET = 0x40;
export const VIRTIO_CONFIG_S_FAILED = 0x80;

/** Feature bits that belong to no class of device (virtio 1.3 §6), as bit numbers. */
export const VIRTIO_RING_F_INDIRECT_DESC = 28;
export const VIRTIO_RING_F_EVENT_IDX = 29;
export const VIRTIO_F_VERSION_1 = 32;

/** `struct vring_desc`, one entry of the descriptor table (virtio 1.3 §2.7.5). */
export const VringDesc = struct({ addr: "u64", len: "u32", flags: "u16", next: "u16" });

/** Bytes of one {@linkcode VringDesc}. */
export const VRING_DESC_SIZE = 16;

/** Descriptor flags (virtio 1.3 §2.7.5). */
export const VRING_DESC_F_NEXT = 1;
export const VRING_DESC_F_WRITE = 2;
export const VRING_DESC_F_INDIRECT = 4;

/** `struct vring_avail` (virtio 1.3 §2.7.6); after the ring of size entries follows `used_event`, 16 bits. */
export const VringAvail = struct({ flags: "u16", idx: "u16", ring: ["u16", 0] });

/** In the driver's ring: spare me interrupts (virtio 1.3 §2.7.7). */
export const VRING_AVAIL_F_NO_INTERRUPT = 1;

/** `struct vring_used_elem` (virtio 1.3 §2.7.8). */
export const VringUsedElem = struct({ id: "u32", len: "u32" });

/** Bytes of one {@linkcode VringUsedElem}. */
export const VRING_USED_ELEM_SIZE = 8;

/** `struct vring_used` (virtio 1.3 §2.7.8); after the ring of size entries follows `avail_event`, 16 bits. */
export const VringUsed = struct({ flags: "u16", idx: "u16", ring: [VringUsedElem, 0] });

/** In the device's ring: spare me notifications (virtio 1.3 §2.7.10). */
export const VRING_USED_F_NO_NOTIFY = 1;

/** Alignment of the three parts of a split virtqueue in bytes (virtio 1.3 §2.7). */
export const VRING_DESC_ALIGN_SIZE = 16;
export const VRING_AVAIL_ALIGN_SIZE = 2;
export const VRING_USED_ALIGN_SIZE = 4;

/** Queue sizes are powers of two up to this (virtio 1.3 §2.7). */
export const VIRTQUEUE_MAX_SIZE = 32768;

/** Registers of the MMIO transport (virtio 1.3 §4.2.2), byte offsets; all 32 bits wide. R, W: what the driver may do. */
export const VIRTIO_MMIO_MAGIC_VALUE = 0x000; // R
export const VIRTIO_MMIO_VERSION = 0x004; // R
export const VIRTIO_MMIO_DEVICE_ID = 0x008; // R
export const VIRTIO_MMIO_VENDOR_ID = 0x00c; // R
export const VIRTIO_MMIO_DEVICE_FEATURES = 0x010; // R
export const VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014; // W
export const VIRTIO_MMIO_DRIVER_FEATURES = 0x020; // W
export const VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024; // W
export const VIRTIO_MMIO_QUEUE_SEL = 0x030; // W
export const VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034; // R
export const VIRTIO_MMIO_QUEUE_NUM = 0x038; // W
export const VIRTIO_MMIO_QUEUE_READY = 0x044; // RW
export const VIRTIO_MMIO_QUEUE_NOTIFY = 0x050; // W
export const VIRTIO_MMIO_INTERRUPT_STATUS = 0x060; // R
export const VIRTIO_MMIO_INTERRUPT_ACK = 0x064; // W
export const VIRTIO_MMIO_STATUS = 0x070; // RW
export const VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080; // W
export const VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084; // W
export const VIRTIO_MMIO_QUEUE_AVAIL_LOW = 0x090; // W
export const VIRTIO_MMIO_QUEUE_AVAIL_HIGH = 0x094; // W
export const VIRTIO_MMIO_QUEUE_USED_LOW = 0x0a0; // W
export const VIRTIO_MMIO_QUEUE_USED_HIGH = 0x0a4; // W
export const VIRTIO_MMIO_SHM_SEL = 0x0ac; // W
export const VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0; // R
export const VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4; // R
export const VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8; // R
export const VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc; // R
export const VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc; // R
export const VIRTIO_MMIO_CONFIG = 0x100; // the class of device says

/** What {@linkcode VIRTIO_MMIO_MAGIC_VALUE} reads: "virt". */
export const VIRTIO_MMIO_MAGIC = 0x74726976;
/** What {@linkcode VIRTIO_MMIO_VERSION} reads: 1 was the legacy interface. */
export const VIRTIO_MMIO_MODERN_VERSION = 2;

/** Interrupt status bits (virtio 1.3 §4.2.2): used buffers, configuration change. */
export const VIRTIO_MMIO_INT_VRING = 1;
export const VIRTIO_MMIO_INT_CONFIG = 2;
