/**
 * A virtio device on the bench: shared state, guest memory, the MMIO front and the back with a real event loop, all in one
 * isolate, driven by the driver-side mock.
 *
 * @module
 */

import type { DeviceDescriptor, PlainValue } from "../../src/bus/device_descriptor.ts";
import type { IrqLine } from "../../src/bus/irq_line.ts";
import type { BackContext } from "../../src/devices/back.ts";
import type { FrontContext } from "../../src/devices/front.ts";
import { EventLoop } from "../../src/host/event_loop.ts";
import { EventFd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import type { GuestMemory } from "../../src/memory/guest_memory.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { MmioFront } from "../../src/virtio/mmio_front.ts";
import { CONTROL_EVENT, notifyEvent } from "../../src/virtio/transport.ts";
import { VirtioBack } from "../../src/virtio/virtio_back.ts";
import type { VirtioDeviceFactory } from "../../src/virtio/virtio_device.ts";
import type { VirtioSpec } from "../../src/virtio/virtio_spec.ts";
import { VirtioState } from "../../src/virtio/virtio_state.ts";
import { descriptorOf } from "./descriptor.ts";
import { Driver, testMemory } from "./driver.ts";

// A library that is first opened inside a test counts as that test's leak.
if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") openAllGroups();

/** What is put on the bench. */
export interface BenchParts {
  readonly spec: VirtioSpec;
  readonly device: VirtioDeviceFactory;
  readonly fds?: { readonly [role: string]: number };
  readonly options?: { readonly [name: string]: PlainValue };
  /** Guest memory; {@linkcode testMemory} where absent. */
  readonly memory?: GuestMemory;
  /** False leaves the back asleep, as while its worker still starts; {@linkcode VirtioBench.wake} starts it. */
  readonly awake?: boolean;
}

/** A device with everything around it. */
export class VirtioBench implements BackContext, FrontContext, Disposable {
  readonly state: SharedState;
  readonly memory: GuestMemory;
  readonly loop: EventLoop;
  readonly descriptor: DeviceDescriptor;
  readonly front: MmioFront;
  readonly back: VirtioBack;
  readonly driver: Driver;
  /** The device's block. */
  readonly block: VirtioState;
  /** Interrupts so far. */
  interrupts = 0;
  /** What front and back complained about. */
  readonly warnings: string[] = [];
  /** What the device told the machine's owner. */
  readonly posted: Readonly<Record<string, string | number>>[] = [];
  /** Errors that a handler of the loop threw: our own faults. */
  readonly errors: unknown[] = [];
  /** Whether a vCPU that waits for a reset lets the back run meanwhile; a test of timeouts says false. */
  parkRunsBack = true;
  readonly #stack = new DisposableStack();
  readonly #events: Readonly<Record<string, EventFd>>;

  private constructor(parts: BenchParts) {
    this.state = SharedState.create(65536);
    this.memory = parts.memory ?? testMemory();
    this.loop = this.#stack.use(
      new EventLoop({
        stop: this.#stack.use(EventFd.create()),
        onError: (error) => this.errors.push(error),
      }),
    );
    this.block = VirtioState.create(this.state, parts.spec, "bench0");
    const roles = [CONTROL_EVENT, ...parts.spec.queueSizes.map((_, i) => notifyEvent(i))];
    this.#events = Object.fromEntries(
      roles.map((role) => [role, this.#stack.use(EventFd.create())]),
    );
    this.descriptor = descriptorOf({
      kind: "virtio-mmio",
      id: "bench0",
      state: this.block.offset,
      worker: 0,
      fds: {
        ...parts.fds,
        ...Object.fromEntries(roles.map((role) => [role, this.#events[role]?.number ?? -1])),
      },
      options: parts.options ?? {},
    });
    this.front = new MmioFront(this.descriptor, this);
    this.back = new VirtioBack(this.descriptor, this, parts.device);
    this.driver = new Driver(this.front, this.memory);
    if (parts.awake ?? true) this.wake();
  }

  /** Puts a device on the bench. */
  static open(parts: BenchParts): VirtioBench {
    return new VirtioBench(parts);
  }

  /** Starts the back. */
  wake(): void {
    this.back.activate();
  }

  /** Handles what the loop has at hand, as often as handlers bring something new (with a bound), and throws what they threw. */
  turn(): void {
    for (let i = 0; i < 1000 && this.loop.runOnce(0) > 0; i++);
    if (this.errors.length > 0) throw this.errors[0];
  }

  /** Notifies a queue as its ioeventfd would, and lets the back run. */
  notify(queue: number): void {
    this.#events[notifyEvent(queue)]?.signal();
    this.turn();
  }

  /** Initializes the driver and lets the back take up the queues. */
  initialize(handshake: Parameters<Driver["initialize"]>[0] = {}): void {
    this.driver.initialize(handshake);
    this.turn();
  }

  irqLine(): IrqLine {
    return { trigger: () => void this.interrupts++ };
  }

  signal(_descriptor: DeviceDescriptor, role: string): void {
    this.#events[role]?.signal();
  }

  end(): void {
    throw new Error("A virtio device does not end a machine");
  }

  park(index: number, value: number): boolean {
    if (this.parkRunsBack) this.turn();
    return Atomics.load(this.state.words, index) !== value;
  }

  mark(_code: number): void {}

  warn(_descriptor: DeviceDescriptor, message: string): void {
    this.warnings.push(message);
  }

  post(_descriptor: DeviceDescriptor, message: Readonly<Record<string, string | number>>): void {
    this.posted.push(message);
  }

  [Symbol.dispose](): void {
    this.back.close();
    this.#stack.dispose();
  }
}
