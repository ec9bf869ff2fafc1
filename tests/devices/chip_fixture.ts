/**
 * A chip on its own: its front on a plain machine state, with what it does to the outside recorded.
 *
 * @module
 */

import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import type { IrqLine } from "../../src/bus/irq_line.ts";
import type { DevicePlan } from "../../src/devices/device_plan.ts";
import type { FrontContext, FrontRequest } from "../../src/devices/front.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { descriptorOf } from "../support/descriptor.ts";

/** What isolates give their fronts, recorded. */
export class RecordingContext implements FrontContext {
  readonly state: SharedState;
  /** Pulses of the interrupt line. */
  pulses = 0;
  /** Roles of eventfds that were signalled. */
  readonly signals: string[] = [];
  /** What a signal does besides. */
  onSignal: () => void = () => {};
  /** Requests to end the machine. */
  readonly ends: (readonly [request: FrontRequest, detail: number | undefined])[] = [];
  /** What guests were warned about. */
  readonly warnings: string[] = [];
  /** Moments that were noted. */
  readonly marks: number[] = [];

  constructor(state: SharedState = SharedState.create(16 * 1024)) {
    this.state = state;
  }

  irqLine(_descriptor: DeviceDescriptor): IrqLine {
    return { trigger: () => void this.pulses++ };
  }

  signal(_descriptor: DeviceDescriptor, role: string): void {
    this.signals.push(role);
    this.onSignal();
  }

  end(request: FrontRequest, detail?: number): void {
    this.ends.push([request, detail]);
  }

  park(_index: number, _value: number, _timeout: number): boolean {
    throw new Error("No chip waits");
  }

  mark(code: number): void {
    this.marks.push(code);
  }

  warn(_descriptor: DeviceDescriptor, message: string): void {
    this.warnings.push(message);
  }

  /** Pulses since the last call. */
  takePulses(): number {
    const pulses = this.pulses;
    this.pulses = 0;
    return pulses;
  }
}

/** Gives a plan its place as the builder does, without a kernel: interrupts and events are numbers that nobody uses. */
export function place(plan: DevicePlan, context: RecordingContext): DeviceDescriptor {
  if ("allocate" in plan.windows) throw new Error("Chips have fixed windows");
  const events = (plan.events ?? []).map((role, index) => [role, 1000 + index]);
  const given = Object.entries(plan.fds ?? {}).filter(([, fd]) => fd >= 0);
  return descriptorOf({
    kind: plan.kind,
    id: plan.id,
    windows: plan.windows,
    gsi: typeof plan.gsi === "number" ? plan.gsi : -1,
    state: plan.createState?.(context.state) ?? -1,
    worker: (plan.back ?? "none") === "none" ? -1 : 0,
    fds: Object.fromEntries([...given, ...events]),
    options: plan.options ?? {},
  });
}
