/**
 * What a virtio device is before a driver has talked to it.
 *
 * @module
 */

import {
  VIRTIO_F_VERSION_1,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTQUEUE_MAX_SIZE,
} from "../abi/virtio.ts";
import { VireoError } from "../base/errors.ts";

/** What a device is made from; the builder lays it down in shared state. */
export interface VirtioSpec {
  /** Which class of device (`VIRTIO_ID_*`). */
  readonly deviceId: number;
  /** Bit numbers, below 64, of what the class offers. VERSION_1, INDIRECT_DESC and EVENT_IDX come on top. */
  readonly features: readonly number[];
  /** For each queue the most entries it can have: a power of two. */
  readonly queueSizes: readonly number[];
  /** The configuration space; empty where absent. At most {@linkcode CONFIG_MAX_SIZE} bytes. */
  readonly config?: Uint8Array;
  /** Bytes of the configuration space that the driver may write: the first and the one after the last. */
  readonly writableConfig?: readonly [start: number, end: number];
}

/** The most that fits behind the registers in an MMIO window of a page. */
export const CONFIG_MAX_SIZE = 0xf00;

/** What our rings can do, whatever the class of device. */
const RING_FEATURES = [VIRTIO_F_VERSION_1, VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX];

/** Everything that a device of this spec offers: bit numbers. */
export function offeredFeatures(spec: VirtioSpec): readonly number[] {
  return [...spec.features, ...RING_FEATURES];
}

/**
 * Sees that a spec is one.
 *
 * @throws VireoError of kind `config`
 */
export function checkSpec(spec: VirtioSpec, owner: string): void {
  const sizes = spec.queueSizes.every((size) =>
    size >= 1 && size <= VIRTQUEUE_MAX_SIZE && Number.isInteger(Math.log2(size))
  );
  const features = spec.features.every((bit) => bit >= 0 && bit < 64);
  if (!sizes || !features || (spec.config?.length ?? 0) > CONFIG_MAX_SIZE) {
    throw new VireoError(
      "config",
      `Cannot describe virtio device ${owner}: queues have a power of two of entries, at most ` +
        `${VIRTQUEUE_MAX_SIZE}, feature bits are below 64, and config has at most ${CONFIG_MAX_SIZE} bytes`,
    );
  }
}
