/**
 * A virtio device's block of shared state: everything that its transport (in the isolates of the vCPUs) and its back (in an
 * I/O worker) both see. It knows neither the transport nor the class of device, and a copy of its bytes is the snapshot of
 * all that the driver has negotiated.
 *
 * @module
 */

// bits-file: status, features and interrupt causes; no addresses pass here but in halves

import {
  VIRTIO_CONFIG_S_DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_FAILED,
  VIRTIO_CONFIG_S_FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
  VIRTIO_F_VERSION_1,
  VIRTIO_MMIO_INT_CONFIG,
} from "../abi/virtio.ts";
import { sizeof, struct } from "../base/struct.ts";
import type { SharedLock, SharedState } from "../memory/shared_state.ts";
import { QUEUE_STATE_SIZE, type QueueField, QueueState } from "./queue_state.ts";
import { checkSpec, offeredFeatures, type VirtioSpec } from "./virtio_spec.ts";

/** What the two halves of a device are about to do together. */
export const PHASE = {
  /** No driver: the back touches no guest memory. */
  IDLE: 0,
  /** DRIVER_OK was written, and the back has not seen it yet. */
  ACTIVATE: 1,
  /** The back has taken up its work. */
  ACTIVE: 2,
  /** The driver wrote status 0, and the back has not let go of guest memory yet. */
  RESET: 3,
} as const;

/** One of {@linkcode PHASE}. */
export type Phase = typeof PHASE[keyof typeof PHASE];

const Header = struct({
  lock: "u32",
  phase: "u32",
  status: "u32",
  deviceId: "u32",
  deviceFeatures: ["u32", 2],
  driverFeatures: ["u32", 2],
  deviceFeaturesSel: "u32",
  driverFeaturesSel: "u32",
  queueSel: "u32",
  interruptStatus: "u32",
  configGeneration: "u32",
  configWrites: "u32",
  queueCount: "u32",
  configLength: "u32",
  writableStart: "u32",
  writableEnd: "u32",
  failures: "u32",
}, { size: 128 });

/** The selectors of a transport's registers. */
export type Selector = "deviceFeaturesSel" | "driverFeaturesSel" | "queueSel";

/** Typed access to one device's block. */
export class VirtioState {
  /** Offset of the block: goes into the device's descriptor. */
  readonly offset: number;
  /** Which class of device. */
  readonly deviceId: number;
  /** The queues. */
  readonly queues: readonly QueueState[];
  /** Bytes of configuration space. */
  readonly configLength: number;
  /** Index of the phase in the shared state's `words`: what a reset waits on. */
  readonly phaseIndex: number;
  readonly #shared: SharedState;
  readonly #words: Uint32Array<SharedArrayBuffer>;
  readonly #config: DataView<SharedArrayBuffer>;
  readonly #lock: SharedLock;

  private constructor(shared: SharedState, offset: number) {
    this.#shared = shared;
    this.#words = new Uint32Array(shared.buffer);
    this.#lock = shared.lock(offset + Header.lock);
    this.offset = offset;
    this.phaseIndex = (offset + Header.phase) / 4;
    this.deviceId = this.#load(Header.deviceId);
    this.configLength = this.#load(Header.configLength);
    const queueCount = this.#load(Header.queueCount);
    this.queues = Array.from(
      { length: queueCount },
      (_, i) => new QueueState(this.#words, offset + sizeof(Header) + i * QUEUE_STATE_SIZE),
    );
    this.#config = shared.block(
      offset + sizeof(Header) + queueCount * QUEUE_STATE_SIZE,
      this.configLength,
    );
  }

  /**
   * Takes a block of shared state for a device and lays its spec down there.
   *
   * @param owner the device's id, for errors
   */
  static create(shared: SharedState, spec: VirtioSpec, owner: string): VirtioState {
    checkSpec(spec, owner);
    const config = spec.config ?? new Uint8Array();
    const size = sizeof(Header) + spec.queueSizes.length * QUEUE_STATE_SIZE + config.length;
    const offset = shared.allocate(size, owner);
    const block = shared.block(offset, size);
    block.setUint32(Header.deviceId, spec.deviceId, true);
    block.setUint32(Header.queueCount, spec.queueSizes.length, true);
    block.setUint32(Header.configLength, config.length, true);
    block.setUint32(Header.writableStart, spec.writableConfig?.[0] ?? 0, true);
    block.setUint32(Header.writableEnd, spec.writableConfig?.[1] ?? 0, true);
    for (const bit of offeredFeatures(spec)) {
      const at = Header.deviceFeatures + Math.trunc(bit / 32) * 4;
      block.setUint32(at, block.getUint32(at, true) | 2 ** (bit % 32), true);
    }
    const state = new VirtioState(shared, offset);
    state.queues.forEach((queue, i) => queue.clear(spec.queueSizes[i]));
    shared.bytes(offset + size - config.length, config.length).set(config);
    return state;
  }

  /** The block that another isolate has made. */
  static attach(shared: SharedState, offset: number): VirtioState {
    return new VirtioState(shared, offset);
  }

  /** Where the two halves stand. */
  get phase(): Phase {
    return this.#load(Header.phase) as Phase;
  }

  /** The device status register. */
  get status(): number {
    return this.#load(Header.status);
  }

  /** Interrupt causes that the driver has not acknowledged. */
  get interruptStatus(): number {
    return this.#load(Header.interruptStatus);
  }

  /** Changes with every change of the configuration space by the device (virtio 1.3 §2.5.1). */
  get configGeneration(): number {
    return this.#load(Header.configGeneration);
  }

  /** How often the driver has written to the configuration space. */
  get configWrites(): number {
    return this.#load(Header.configWrites);
  }

  /** How often the device has asked for a reset because a ring was broken or could not be used: for metrics. */
  get failures(): number {
    return this.#load(Header.failures);
  }

  /** Which queue, or which half of a set of features, the transport's registers show. */
  selector(name: Selector): number {
    return this.#load(Header[name]);
  }

  /** Points a window of the transport's registers elsewhere; any value is legal. */
  select(name: Selector, value: number): void {
    this.#store(Header[name], value);
  }

  /** The queue that `queueSel` selects, if there is one. */
  get selectedQueue(): QueueState | undefined {
    return this.queues[this.selector("queueSel")];
  }

  /** Features offered, 32 of them; none above the second half. */
  deviceFeatures(half: number): number {
    return half > 1 ? 0 : this.#load(Header.deviceFeatures + half * 4);
  }

  /** Features that the driver took, 32 of them. */
  driverFeatures(half: number): number {
    return half > 1 ? 0 : this.#load(Header.driverFeatures + half * 4);
  }

  /** Whether a feature was offered and taken. Holds from FEATURES_OK to the next reset. */
  hasFeature(bit: number): boolean {
    return Math.trunc(this.driverFeatures(Math.trunc(bit / 32)) / 2 ** (bit % 32)) % 2 === 1;
  }

  /** Takes 32 of the driver's features: after DRIVER, before FEATURES_OK (virtio 1.3 §3.1.1 step 4), else ignored. */
  setDriverFeatures(half: number, value: number): boolean {
    return this.#locked(() => {
      const steps = VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
      if (half > 1 || (this.status & steps) !== VIRTIO_CONFIG_S_DRIVER) return false;
      this.#store(Header.driverFeatures + half * 4, value);
      return true;
    });
  }

  /** Whether the driver's features can be worked with: VERSION_1, and none that was not offered (virtio 1.3 §2.2). */
  get featuresAcceptable(): boolean {
    const unknown = [0, 1].some((half) =>
      (this.driverFeatures(half) & ~this.deviceFeatures(half)) !== 0
    );
    return !unknown && this.hasFeature(VIRTIO_F_VERSION_1);
  }

  /**
   * Sets a register of the selected queue: after FEATURES_OK and before DRIVER_OK (virtio 1.3 §3.1.1 step 7), and never while
   * the queue is ready, else ignored.
   */
  setQueue(field: QueueField, value: number): boolean {
    return this.#locked(() => {
      const queue = this.selectedQueue;
      if (queue === undefined || queue.ready || !this.#queuesOpen()) return false;
      queue.set(field, value);
      return true;
    });
  }

  /** Sets whether the selected queue may be used; the same times as for {@linkcode VirtioState.setQueue}. */
  setQueueReady(ready: boolean): boolean {
    return this.#locked(() => {
      const queue = this.selectedQueue;
      if (queue === undefined || !this.#queuesOpen()) return false;
      queue.ready = ready;
      return true;
    });
  }

  /** Runs `change` on the status and the phase, alone; what the driver wrote and what the back found may not mix. */
  update<Result>(
    change: (registers: { status: number; phase: Phase }) => Result,
  ): Result {
    return this.#locked(() => {
      const registers = { status: this.status, phase: this.phase };
      const before = registers.phase;
      const result = change(registers);
      this.#store(Header.status, registers.status);
      this.#store(Header.phase, registers.phase);
      if (registers.phase !== before) Atomics.notify(this.#shared.words, this.phaseIndex);
      return result;
    });
  }

  /** Forgets what the driver has said, as after power-on. Called within {@linkcode VirtioState.update}. */
  clear(): void {
    this.#words.fill(0, this.#index(Header.driverFeatures), this.#index(Header.configGeneration));
    for (const queue of this.queues) queue.clear();
  }

  /**
   * Tells the driver that only a reset helps (virtio 1.3 §2.1.2).
   *
   * @returns whether it is to be interrupted for this: only after DRIVER_OK
   */
  fail(): boolean {
    Atomics.add(this.#words, this.#index(Header.failures), 1);
    return this.update((registers) => {
      registers.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
      if ((registers.status & VIRTIO_CONFIG_S_DRIVER_OK) === 0) return false;
      this.addInterrupt(VIRTIO_MMIO_INT_CONFIG);
      return true;
    });
  }

  /** Adds causes to the interrupt status; the caller then triggers the line. */
  addInterrupt(causes: number): void {
    Atomics.or(this.#words, this.#index(Header.interruptStatus), causes);
  }

  /** Takes acknowledged causes off the interrupt status. */
  acknowledgeInterrupt(causes: number): void {
    Atomics.and(this.#words, this.#index(Header.interruptStatus), ~causes);
  }

  /** Copies configuration bytes out; what lies behind the end reads as zeros. */
  readConfig(offset: number, into: DataView): void {
    this.#locked(() => {
      for (let i = 0; i < into.byteLength; i++) {
        into.setUint8(i, offset + i < this.configLength ? this.#config.getUint8(offset + i) : 0);
      }
    });
  }

  /**
   * Takes a write of the driver to the configuration space. Bytes that are not writable are left out.
   *
   * @returns whether any was taken
   */
  writeConfig(offset: number, bytes: DataView): boolean {
    return this.#locked(() => {
      const start = Math.max(offset, this.#load(Header.writableStart));
      const end = Math.min(offset + bytes.byteLength, this.#load(Header.writableEnd));
      for (let at = start; at < end; at++) {
        this.#config.setUint8(at, bytes.getUint8(at - offset));
      }
      if (start >= end) return false;
      Atomics.add(this.#words, this.#index(Header.configWrites), 1);
      return true;
    });
  }

  /** A change of the configuration space by the device; the caller then interrupts the driver. */
  changeConfig(offset: number, bytes: Uint8Array): void {
    this.#locked(() => {
      bytes.forEach((byte, i) => this.#config.setUint8(offset + i, byte));
      Atomics.add(this.#words, this.#index(Header.configGeneration), 1);
    });
  }

  #queuesOpen(): boolean {
    const open = VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
    const shut = VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET;
    return (this.status & (open | shut)) === open && this.phase === PHASE.IDLE;
  }

  #locked<Result>(action: () => Result): Result {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  #index(field: number): number {
    return (this.offset + field) / 4;
  }

  #load(field: number): number {
    return Atomics.load(this.#words, this.#index(field));
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#words, this.#index(field), value);
  }
}
