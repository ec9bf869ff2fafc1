/**
 * The fronts of virtio devices: one for each transport, whatever the class of device.
 *
 * @module
 */

import type { FrontFactory } from "../devices/front.ts";
import { MmioFront } from "./mmio_front.ts";

/** Fronts by the descriptor's kind. */
export const FRONTS: Readonly<Record<string, FrontFactory>> = {
  "virtio-mmio": (descriptor, context) => new MmioFront(descriptor, context),
};
