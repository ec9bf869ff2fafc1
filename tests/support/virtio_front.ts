/**
 * The MMIO front of a virtio device alone: what it asks of its back is recorded, and the test plays the back.
 *
 * @module
 */

import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import type { IrqLine } from "../../src/bus/irq_line.ts";
import { NO_IRQ } from "../../src/bus/irq_line.ts";
import type { FrontContext } from "../../src/devices/front.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { MmioFront } from "../../src/virtio/mmio_front.ts";
import type { VirtioSpec } from "../../src/virtio/virtio_spec.ts";
import { PHASE, VirtioState } from "../../src/virtio/virtio_state.ts";
import { descriptorOf } from "./descriptor.ts";
import { Driver, testMemory } from "./driver.ts";

/** A spec with every kind of thing in it: two queues, a feature in each half, 12 bytes of configuration, 4 of them writable. */
export const TEST_SPEC: VirtioSpec = {
  deviceId: 42,
  features: [0, 5, 40],
  queueSizes: [16, 64],
  config: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
  writableConfig: [4, 8],
};

/** A front with a recording context. */
export class FrontRig implements FrontContext {
  readonly state: SharedState = SharedState.create(4096);
  readonly block: VirtioState;
  readonly front: MmioFront;
  readonly driver: Driver;
  /** Events that the front signalled. */
  readonly signals: string[] = [];
  readonly warnings: string[] = [];
  /** Words that the front waited on, with how long at most. */
  readonly parked: number[] = [];
  /** What the back does while the front waits. */
  whileParked: () => void = () => {};
  /** The back lets go right after the wait has timed out. */
  tooLate = false;

  /** @param spec of the device */
  constructor(spec: VirtioSpec = TEST_SPEC) {
    this.block = VirtioState.create(this.state, spec, "front0");
    const state = this.block.offset;
    const descriptor = descriptorOf({ kind: "virtio-mmio", id: "front0", state, worker: 0 });
    this.front = new MmioFront(descriptor, this);
    this.driver = new Driver(this.front, testMemory());
  }

  /** Plays the back that takes up its work. */
  takeUp(): void {
    this.block.update((registers) => {
      registers.phase = PHASE.ACTIVE;
    });
  }

  /** Plays the back that has drained and lets go. */
  letGo(): void {
    this.block.update((registers) => {
      this.block.clear();
      registers.status = 0;
      registers.phase = PHASE.IDLE;
    });
  }

  irqLine(): IrqLine {
    return NO_IRQ;
  }

  signal(_descriptor: DeviceDescriptor, role: string): void {
    this.signals.push(role);
  }

  end(): void {
    throw new Error("A virtio device does not end a machine");
  }

  park(index: number, value: number, timeout: number): boolean {
    this.parked.push(timeout);
    this.whileParked();
    if (this.tooLate) this.letGo();
    return !this.tooLate && Atomics.load(this.state.words, index) !== value;
  }

  mark(_code: number): void {}

  warn(_descriptor: DeviceDescriptor, message: string): void {
    this.warnings.push(message);
  }
}
