/**
 * The back of every virtio device: owns the queues, follows the phases that the transport asks for, and leaves to the class of
 * device only what is particular to it.
 *
 * @module
 */

import { EPOLLIN } from "../abi/linux.ts";
import {
  VIRTIO_MMIO_INT_CONFIG,
  VIRTIO_MMIO_INT_VRING,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from "../abi/virtio.ts";
import { VireoError } from "../base/errors.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import type { Back, BackContext } from "../devices/back.ts";
import type { EventLoop } from "../host/event_loop.ts";
import { EventFd } from "../host/fd.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { CONTROL_EVENT, notifyEvent } from "./transport.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceFactory } from "./virtio_device.ts";
import { PHASE, VirtioState } from "./virtio_state.ts";
import { BrokenRing } from "./split_ring.ts";
import { Virtqueue } from "./virtqueue.ts";

/** The generic back, and the context of the device in it. */
export class VirtioBack implements Back, VirtioContext {
  readonly descriptor: DeviceDescriptor;
  readonly loop: EventLoop;
  readonly memory: GuestMemory;
  readonly state: VirtioState;
  readonly #context: BackContext;
  readonly #device: VirtioDevice;
  readonly #irq: IrqLine;
  readonly #control: EventFd;
  readonly #notify: readonly EventFd[];
  /** Set between activation and reset. */
  #queues: readonly (Virtqueue | undefined)[] = [];
  /** What the device is doing: nothing, its work, or waiting for resume or reset. */
  #work: "idle" | "active" | "drained" = "idle";
  /** The worker has been told to hold still. */
  #paused = false;
  /** A ring could not be used: nothing helps but a reset. */
  #broken = false;
  /** Writes to the configuration space that the device knows of. */
  #configWrites: number;

  /** @param factory makes the class of device */
  constructor(descriptor: DeviceDescriptor, context: BackContext, factory: VirtioDeviceFactory) {
    this.descriptor = descriptor;
    this.loop = context.loop;
    this.memory = context.memory;
    this.state = VirtioState.attach(context.state, descriptor.state);
    this.#context = context;
    this.#irq = context.irqLine(descriptor);
    this.#control = this.#event(CONTROL_EVENT);
    this.#notify = this.state.queues.map((_, index) => this.#event(notifyEvent(index)));
    this.#configWrites = this.state.configWrites;
    this.#device = factory(this);
  }

  // What the I/O worker calls.

  activate(): void {
    this.loop.add(this.#control.number, EPOLLIN, () => {
      this.#control.read();
      this.#look();
    });
    this.#notify.forEach((event, index) =>
      this.loop.add(event.number, EPOLLIN, () => {
        event.read();
        this.process(index);
      })
    );
    // What the driver has said before this worker was there, or before a snapshot.
    this.#look();
  }

  drain(): void {
    this.#paused = true;
    this.#drainDevice();
  }

  resume(): void {
    this.#paused = false;
    if (this.#work === "drained" && !this.#broken) {
      this.#work = "active";
      this.#device.resume?.();
      this.#processAll();
    }
    this.#look();
  }

  reset(): void {
    this.#drainDevice();
    if (this.#work !== "idle") this.#device.reset?.();
    this.#work = "idle";
    this.#queues = [];
    this.#broken = false;
    this.state.update((registers) => {
      this.state.clear();
      registers.status = 0;
      registers.phase = PHASE.IDLE;
    });
  }

  /** Whether output of the guest waits for the host to take it. */
  pending(): boolean {
    return this.#device.pending?.() ?? false;
  }

  save(version: number): Uint8Array {
    return this.#device.save?.(version) ?? new Uint8Array();
  }

  restore(version: number, bytes: Uint8Array): void {
    this.#device.restore?.(version, bytes);
  }

  close(): void {
    this.#drainDevice();
    this.loop.remove(this.#control.number);
    for (const event of this.#notify) this.loop.remove(event.number);
    this.#device.close?.();
    this.#queues = [];
  }

  // What the device calls.

  queue(index: number): Virtqueue | undefined {
    return this.#queues[index];
  }

  process(index: number): void {
    const queue = this.#queues[index];
    if (queue === undefined || this.#work !== "active") return;
    const malformed = queue.malformed;
    try {
      queue.beginRound();
      do {
        queue.disableNotifications();
        this.#device.processQueue(index, queue);
        this.#publish(queue);
        // The rest is for later: other devices of this worker wait too.
        if (queue.exhausted) return this.#notify[index]?.signal();
      } while (queue.enableNotifications());
    } catch (error) {
      this.#fail(error);
    } finally {
      if (queue.malformed !== malformed) {
        this.warn(`Queue ${index}: refused a descriptor chain: ${queue.fault}`);
      }
    }
  }

  complete(index: number): void {
    const queue = this.#queues[index];
    if (queue !== undefined) this.#publish(queue);
  }

  changeConfig(offset: number, bytes: Uint8Array): void {
    this.state.changeConfig(offset, bytes);
    // No interrupt before DRIVER_OK (virtio 1.3 §3.1.1): a driver that comes later reads what is there.
    if (this.#work !== "idle") this.#interrupt(VIRTIO_MMIO_INT_CONFIG);
  }

  warn(message: string): void {
    this.#context.warn(this.descriptor, message);
  }

  post(message: Readonly<Record<string, string | number>>): void {
    this.#context.post(this.descriptor, message);
  }

  /** Does what the transport asks for. */
  #look(): void {
    const { phase, configWrites } = this.state;
    // The driver wrote status 0 and its vCPU waits, so this is answered even while paused. Notifications that are still on
    // their way find no queue, or process one of the next driver's for nothing.
    if (phase === PHASE.RESET) return this.reset();
    // Paused: vCPUs were paused before, so nothing of this can be urgent; resume looks again.
    if (this.#paused) return;
    if (configWrites !== this.#configWrites) {
      this.#configWrites = configWrites;
      this.#device.configWritten?.();
    }
    if (this.#work === "idle" && this.#takeUp()) this.#start();
  }

  /** Enters ACTIVE, unless the driver has taken its DRIVER_OK back in between. */
  #takeUp(): boolean {
    return this.state.update((registers) => {
      if (registers.phase === PHASE.ACTIVATE) registers.phase = PHASE.ACTIVE;
      return registers.phase === PHASE.ACTIVE;
    });
  }

  #start(): void {
    const options = {
      indirect: this.state.hasFeature(VIRTIO_RING_F_INDIRECT_DESC),
      eventIdx: this.state.hasFeature(VIRTIO_RING_F_EVENT_IDX),
    };
    this.#work = "active";
    try {
      this.#queues = this.state.queues.map((queue) =>
        queue.ready ? new Virtqueue(this.memory, queue, options) : undefined
      );
      this.#device.activate?.();
    } catch (error) {
      return this.#fail(error);
    }
    // Notifications may have come before there was anybody to take them.
    this.#processAll();
  }

  #processAll(): void {
    for (let index = 0; index < this.#queues.length; index++) this.process(index);
  }

  #drainDevice(): void {
    if (this.#work !== "active") return;
    this.#device.drain?.();
    this.#work = "drained";
  }

  #publish(queue: Virtqueue): void {
    if (!this.#broken && queue.publish()) this.#interrupt(VIRTIO_MMIO_INT_VRING);
  }

  #interrupt(cause: number): void {
    this.state.addInterrupt(cause);
    this.#irq.trigger();
  }

  /** A guest's fault ends in NEEDS_RESET and a line; anything else is our own bug, and the worker's end. */
  #fail(error: unknown): void {
    if (!(error instanceof BrokenRing)) throw error;
    this.#broken = true;
    this.#drainDevice();
    if (this.state.fail()) this.#irq.trigger();
    this.warn(`${error.message}; the device waits for a reset`);
  }

  #event(role: string): EventFd {
    const fd = this.descriptor.fds[role];
    if (fd !== undefined) return EventFd.borrow(fd);
    throw new VireoError("internal", `Cannot run ${this.descriptor.id}: it has no event "${role}"`);
  }
}
