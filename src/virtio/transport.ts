/**
 * What every transport does with a driver's wishes: walks the status machine, hands the device over to its back and takes it
 * away again. The transports themselves only decode registers.
 *
 * The two halves meet in one word, the phase, and every change of it is made under the block's lock:
 *
 *     IDLE ── DRIVER_OK ──> ACTIVATE ── back ──> ACTIVE ── status 0 ──> RESET ── back ──> IDLE
 *                               └────── status 0: no back has begun ───────────────────────┘
 *
 * - Before the back has taken ACTIVATE (its worker may still be starting) a reset is ours alone: we go back to IDLE, and the
 *   control event that is on its way finds nothing to do.
 * - Once ACTIVE, only the back may leave: it drains, clears what the driver had set up, then enters IDLE. Until then the status
 *   reads as it was and every other write is refused, so no register changes under a back that still uses the queues.
 * - Linux' virtio-mmio writes 0 and goes on at once without reading the status back, so the vCPU waits for the back: the one
 *   rendezvous in which a front waits. If 5 s are not enough the status becomes NEEDS_RESET. A back that finishes
 *   after all enters IDLE all the same, and the driver's next reset succeeds.
 * - Two vCPUs may write 0 at once: the second finds RESET and waits for the same word.
 *
 * @module
 */

// bits-file: the status register

import {
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
} from "../abi/virtio.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { FrontContext } from "../devices/front.ts";
import { nextStatus } from "./device_status.ts";
import { PHASE, VirtioState } from "./virtio_state.ts";

/** How long a reset waits for I/O in flight, in ms. */
export const RESET_TIMEOUT = 5000;

/** The events by which a front wakes its back: `control`, and `notify0`, `notify1`, … for the queues. */
export const CONTROL_EVENT = "control";

/** The role of a queue's notification event. */
export function notifyEvent(queue: number): string {
  return `notify${queue}`;
}

/** One device's transport-independent front, in one isolate. */
export class VirtioTransport {
  /** The device's block. */
  readonly state: VirtioState;
  readonly #descriptor: DeviceDescriptor;
  readonly #context: FrontContext;
  readonly #notifyEvents: readonly string[];

  /** @param descriptor its `state` is the block's offset */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    this.state = VirtioState.attach(context.state, descriptor.state);
    this.#descriptor = descriptor;
    this.#context = context;
    this.#notifyEvents = this.state.queues.map((_, index) => notifyEvent(index));
  }

  /** Takes a write to the device status register (virtio 1.3 §2.1). */
  writeStatus(written: number): void {
    if (written === 0) return this.#reset();
    const accepted = this.state.update((registers) => {
      const next = registers.phase === PHASE.RESET
        ? undefined
        : nextStatus(registers.status, written);
      if (next === undefined) return "refused";
      const added = next & ~registers.status;
      if ((added & VIRTIO_CONFIG_S_FEATURES_OK) !== 0 && !this.state.featuresAcceptable) {
        return "features";
      }
      registers.status = next;
      if ((added & VIRTIO_CONFIG_S_DRIVER_OK) === 0) return "accepted";
      registers.phase = PHASE.ACTIVATE;
      return "activate";
    });
    if (accepted === "refused") this.#refuse(written);
    if (accepted === "features") {
      this.#warn("Driver took features that were not offered, or not VERSION_1");
    }
    if (accepted === "activate") this.#signalControl();
  }

  /** Passes on a notification that did not go through an ioeventfd. One for a queue that is not in use is dropped. */
  notify(queue: number): void {
    const event = this.#notifyEvents[queue];
    if (event === undefined || (this.state.status & VIRTIO_CONFIG_S_DRIVER_OK) === 0) return;
    this.#context.signal(this.#descriptor, event);
  }

  /** Takes a write to the configuration space; the device hears of it where the bytes are its driver's to write. */
  writeConfig(offset: number, bytes: DataView): void {
    if (this.state.writeConfig(offset, bytes)) this.#signalControl();
  }

  /** Status 0: back to where nothing has been negotiated, with no I/O of the device left when this returns. */
  #reset(): void {
    const waiting = this.state.update((registers) => {
      if (registers.phase === PHASE.ACTIVE) registers.phase = PHASE.RESET;
      if (registers.phase === PHASE.RESET) return true;
      this.state.clear();
      registers.status = 0;
      registers.phase = PHASE.IDLE;
      return false;
    });
    if (!waiting) return;
    this.#signalControl();
    if (this.#context.park(this.state.phaseIndex, PHASE.RESET, RESET_TIMEOUT)) return;
    const late = this.state.update((registers) => {
      if (registers.phase !== PHASE.RESET) return false;
      registers.status = VIRTIO_CONFIG_S_NEEDS_RESET;
      return true;
    });
    if (late) this.#warn(`I/O in flight did not end within ${RESET_TIMEOUT} ms of a reset`);
  }

  #signalControl(): void {
    this.#context.signal(this.#descriptor, CONTROL_EVENT);
  }

  #refuse(written: number): void {
    const status = this.state.status.toString(16);
    this.#warn(`Driver wrote status 0x${(written >>> 0).toString(16)} while it was 0x${status}`);
  }

  #warn(message: string): void {
    this.#context.warn(this.#descriptor, message);
  }
}
