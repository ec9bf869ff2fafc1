/**
 * The backs of chips: one row a kind that has one.
 *
 * @module
 */

import type { BackFactory } from "./back.ts";
import { RtcCmosBack } from "./rtc_cmos_back.ts";
import { Uart16550Back } from "./uart16550_back.ts";

/** Backs by the descriptor's kind. */
export const BACKS: Readonly<Record<string, BackFactory>> = {
  "rtc-cmos": (descriptor, context) => new RtcCmosBack(descriptor, context),
  "uart16550": (descriptor, context) => new Uart16550Back(descriptor, context),
};
