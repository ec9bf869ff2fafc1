/**
 * Where a 16550A UART is in a machine, and what it is connected to.
 *
 * @module
 */

import { UART_TX } from "../abi/devices.ts";
import { VireoError } from "../base/errors.ts";
import type { DevicePlan } from "./device_plan.ts";
import { UART_LOG_OFFSET, UART_LOG_SIZE } from "./uart16550_state.ts";

/** Where a UART is, and what it talks to. */
export interface UartOptions {
  readonly id: string;
  /** First of eight ports. */
  readonly port: number;
  readonly gsi: number;
  /** Borrowed descriptor that input is read from, or -1. */
  readonly input: number;
  /** Borrowed descriptor that output is written to besides being kept, or -1. */
  readonly output: number;
  /** Borrowed socket whose clients are input and output instead, or -1, as where absent. */
  readonly listener?: number;
  /** Bytes of output that are kept, a power of two; {@linkcode UART_LOG_SIZE} where absent. */
  readonly logSize?: number;
}

/** A UART for the machine's builder. It has a back only where there is input or output. */
export function uart16550(options: UartOptions): DevicePlan {
  const { id, port, gsi, input, output, listener = -1, logSize = UART_LOG_SIZE } = options;
  if (logSize < 1 || 2 ** Math.round(Math.log2(logSize)) !== logSize) {
    throw new VireoError("range", `Cannot keep ${logSize} bytes of ${id}: give a power of two`);
  }
  const connected = input >= 0 || output >= 0 || listener >= 0;
  return {
    kind: "uart16550",
    id,
    windows: [{ bus: "port", base: port, size: 8 }],
    gsi,
    createState: (state) => state.allocate(UART_LOG_OFFSET + logSize, id),
    events: connected ? ["notify"] : [],
    coalesced: [{ offset: UART_TX, size: 1 }],
    fds: { input, output, listener },
    options: { logSize },
    back: connected ? "shared" : "none",
  };
}
