/**
 * The fronts of chips: one row a kind.
 *
 * @module
 */

import { AcpiPm } from "./acpi_pm.ts";
import { DebugPort } from "./debug_port.ts";
import type { FrontFactory } from "./front.ts";
import { I8042 } from "./i8042.ts";
import { MarkerPort } from "./marker_port.ts";
import { Pvpanic } from "./pvpanic.ts";
import { RtcCmos } from "./rtc_cmos.ts";
import { Uart16550 } from "./uart16550.ts";

/** Fronts by the descriptor's kind. */
export const FRONTS: Readonly<Record<string, FrontFactory>> = {
  "acpi-pm": (descriptor, context) => new AcpiPm(descriptor, context),
  "debug-exit": (_descriptor, context) => new DebugPort(context, "debug-exit"),
  "debug-yield": (_descriptor, context) => new DebugPort(context, "yield"),
  "i8042": (descriptor, context) => new I8042(descriptor, context),
  "marker-port": (descriptor, context) => new MarkerPort(descriptor, context),
  "pvpanic": (descriptor, context) => new Pvpanic(descriptor, context),
  "rtc-cmos": (descriptor, context) => new RtcCmos(descriptor, context),
  "uart16550": (descriptor, context) => new Uart16550(descriptor, context),
};
