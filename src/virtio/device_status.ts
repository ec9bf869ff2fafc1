/**
 * The device status register as a state machine (virtio 1.3 §2.1, §3.1.1): which step may follow which.
 *
 * @module
 */

// bits-file: the status register, 8 bits

import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FAILED,
  VIRTIO_CONFIG_S_FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
} from "../abi/virtio.ts";

/** The steps of initialization, by the status value that says how far the driver has come. */
export const STEP = {
  RESET: 0,
  ACKNOWLEDGED: VIRTIO_CONFIG_S_ACKNOWLEDGE,
  DRIVER: VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
  FEATURES_OK: VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK,
  RUNNING: VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
    VIRTIO_CONFIG_S_DRIVER_OK,
} as const;

/** The one step that may follow each. Writing 0 leads to RESET from everywhere and is no step of this table. */
const NEXT: ReadonlyMap<number, number> = new Map<number, number>([
  [STEP.RESET, STEP.ACKNOWLEDGED],
  [STEP.ACKNOWLEDGED, STEP.DRIVER],
  [STEP.DRIVER, STEP.FEATURES_OK],
  [STEP.FEATURES_OK, STEP.RUNNING],
]);

/**
 * The status after a driver has written `written` (not 0) while it was `status`; undefined where the machine refuses: a step
 * left out, a bit taken back, an unknown bit, anything but repetition after FAILED or NEEDS_RESET. A driver may give up
 * (FAILED) at every step.
 */
export function nextStatus(status: number, written: number): number | undefined {
  const ours = status & VIRTIO_CONFIG_S_NEEDS_RESET;
  const wanted = written & ~VIRTIO_CONFIG_S_NEEDS_RESET;
  const current = status - ours;
  if (wanted === current) return status;
  if (wanted === (current | VIRTIO_CONFIG_S_FAILED)) return status | VIRTIO_CONFIG_S_FAILED;
  if (ours !== 0) return undefined;
  return NEXT.get(current) === wanted ? wanted : undefined;
}
