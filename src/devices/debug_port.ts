/**
 * Ports by which a guest speaks to the program that runs its machine, with a number: one ends the machine, for tests (QEMU's
 * isa-debug-exit, but the number is the status), the other gives that program the turn.
 *
 * @module
 */

import type { BusDevice } from "../bus/bus_device.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext, FrontRequest } from "./front.ts";

/** Where such a port is. */
export interface DebugPortOptions {
  /** Unique in the machine. */
  readonly id: string;
  /** The first of four ports. */
  readonly port: number;
}

/** A debug exit port for the machine's builder, customarily at 0xf4. Never there unless asked for. */
export function debugExit(options: DebugPortOptions): DevicePlan {
  return debugPort("debug-exit", options);
}

/** A yield port for the machine's builder: a write stops all vCPUs until the machine is run again. Never there unless asked for. */
export function debugYield(options: DebugPortOptions): DevicePlan {
  return debugPort("debug-yield", options);
}

function debugPort(kind: string, { id, port }: DebugPortOptions): DevicePlan {
  return {
    kind,
    id,
    windows: [{ bus: "port", base: port, size: 4 }],
  };
}

/** The port: a write of any width asks for the end, or the turn, with what was written. */
export class DebugPort implements BusDevice {
  readonly #context: FrontContext;
  readonly #request: FrontRequest;

  /**
   * @param context of the isolate that it answers in
   * @param request what a write asks for
   */
  constructor(context: FrontContext, request: FrontRequest) {
    this.#context = context;
    this.#request = request;
  }

  read(_offset: number, _size: number): number {
    return 0;
  }

  write(_offset: number, _size: number, value: number): void {
    this.#context.end(this.#request, value >>> 0);
  }
}
