/**
 * The backs in one I/O worker: made, closed, drained and resumed together, and kept in step with the decode table.
 *
 * @module
 */

import { RateLimit } from "../base/rate_limit.ts";
import { VireoError } from "../base/errors.ts";
import type { DecodeTable } from "../bus/decode_table.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { EdgeIrq, type IrqLine, NO_IRQ } from "../bus/irq_line.ts";
import type { Back, BackContext, BackFactory } from "../devices/back.ts";
import { faultOf } from "../devices/device_modules.ts";
import type { EventLoop } from "../host/event_loop.ts";
import { EventFd } from "../host/fd.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { SharedState } from "../memory/shared_state.ts";
import type { IoMessage } from "./io_control.ts";

/** What the backs of a worker are made from. */
export interface BackSetParts {
  /** Number of the worker. */
  readonly worker: number;
  readonly loop: EventLoop;
  readonly state: SharedState;
  readonly memory: GuestMemory;
  readonly table: DecodeTable;
  /** Makes backs by the descriptor's kind. */
  readonly factories: Readonly<Record<string, BackFactory>>;
  /** Takes what devices say. */
  readonly post: (message: IoMessage) => void;
}

interface Installed {
  /** The descriptor's JSON: a device whose descriptor has not changed keeps its back. */
  readonly text: string;
  readonly descriptor: DeviceDescriptor;
  readonly back: Back;
}

/** The backs of one worker, which are given this as their context. */
export class BackSet implements BackContext {
  readonly loop: EventLoop;
  readonly state: SharedState;
  readonly memory: GuestMemory;
  readonly #parts: BackSetParts;
  readonly #warnings = new Map<string, RateLimit>();
  #installed: readonly Installed[] = [];
  #paused = false;

  /** @param parts what the backs are made from */
  constructor(parts: BackSetParts) {
    this.#parts = parts;
    this.loop = parts.loop;
    this.state = parts.state;
    this.memory = parts.memory;
  }

  /** Names of the devices, in the order of the table. */
  get ids(): readonly string[] {
    return this.#installed.map(({ descriptor }) => descriptor.id);
  }

  /**
   * Closes the backs of devices that are gone, then makes those of new ones.
   *
   * @returns the generation that the backs are of now
   */
  refresh(): number {
    const { generation, devices } = this.#parts.table.read();
    const ours = devices.filter(({ worker }) => worker === this.#parts.worker)
      .map((descriptor) => ({ descriptor, text: JSON.stringify(descriptor) }));
    const wanted = new Set(ours.map(({ text }) => text));
    const gone = this.#installed.filter(({ text }) => !wanted.has(text));
    this.#installed = this.#installed.filter(({ text }) => wanted.has(text));
    for (const { descriptor, back } of gone.reverse()) this.#as(descriptor, () => back.close());
    for (const { descriptor, text } of ours) {
      if (this.#installed.every((other) => other.text !== text)) this.#install(descriptor, text);
    }
    return generation;
  }

  /** Drains all backs: when this returns none of them touches guest memory. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    for (const { descriptor, back } of this.#installed) this.#as(descriptor, () => back.drain());
  }

  /** Lets all backs go on. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const { descriptor, back } of this.#installed) this.#as(descriptor, () => back.resume());
  }

  /** Whether output of the guest waits for the host to take it, in any back; all of them are asked. */
  pending(): boolean {
    const waits = ({ descriptor, back }: Installed) =>
      this.#as(descriptor, () => back.pending?.() ?? false);
    return this.#installed.filter(waits).length > 0;
  }

  /** Closes all backs, the last one first. What one throws is thrown after the others are closed. */
  close(): void {
    const errors: unknown[] = [];
    for (const { descriptor, back } of [...this.#installed].reverse()) {
      try {
        this.#as(descriptor, () => back.close());
      } catch (error) {
        errors.push(error);
      }
    }
    this.#installed = [];
    if (errors.length > 0) throw errors[0];
  }

  irqLine(descriptor: DeviceDescriptor): IrqLine {
    return descriptor.irqFd < 0 ? NO_IRQ : new EdgeIrq(EventFd.borrow(descriptor.irqFd));
  }

  warn(descriptor: DeviceDescriptor, message: string): void {
    const limit = this.#limit(descriptor.id);
    const { suppressed } = limit;
    if (!limit.allows()) return;
    const text = suppressed > 0 ? `${message} (and ${suppressed} messages before it)` : message;
    this.#parts.post({ type: "warning", device: descriptor.id, text });
  }

  post(descriptor: DeviceDescriptor, message: Readonly<Record<string, string | number>>): void {
    this.#parts.post({ type: "device", device: descriptor.id, message });
  }

  #install(descriptor: DeviceDescriptor, text: string): void {
    const factory = this.#parts.factories[descriptor.kind];
    if (factory === undefined) {
      throw new VireoError(
        "internal",
        `Cannot run ${descriptor.id}: no back of kind "${descriptor.kind}"`,
      );
    }
    this.#as(descriptor, () => {
      const back = factory(descriptor, this);
      this.#installed = [...this.#installed, { text, descriptor, back }];
      back.activate();
      if (this.#paused) back.drain();
    });
  }

  /** What a handler of the device called `id` has thrown, as {@linkcode faultOf}. */
  faultOf(id: string, error: unknown): unknown {
    const device = this.#installed.find(({ descriptor }) => descriptor.id === id);
    return device === undefined ? error : faultOf(device.descriptor, error);
  }

  #as<Result>(descriptor: DeviceDescriptor, work: () => Result): Result {
    try {
      return this.loop.as(descriptor.id, work);
    } catch (error) {
      throw faultOf(descriptor, error);
    }
  }

  /** A few lines at once, then one in five seconds: a guest chooses how often it is at fault. */
  #limit(id: string): RateLimit {
    const limit = this.#warnings.get(id) ?? new RateLimit(3, 0.2);
    this.#warnings.set(id, limit);
    return limit;
  }
}
