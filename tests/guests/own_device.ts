/** Devices of a test's own, as a program's module has them; `own_device_test.ts` builds them into machines. */

import {
  type Back,
  type BackContext,
  type BusDevice,
  type DeviceDescriptor,
  EPOLLIN,
  EventFd,
  type FrontContext,
  type VirtioDevice,
} from "../../src/mod.ts";

/** Words of the state that the halves share. */
export const WORD = { writes: 0, widths: 1, wideLow: 2, wideHigh: 3 } as const;

/** Counts writes and keeps the widths of all accesses; reads give the offset and `seed`. */
class Counter implements BusDevice {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #base: number;
  readonly #descriptor: DeviceDescriptor;
  readonly #context: FrontContext;

  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    this.#descriptor = descriptor;
    this.#context = context;
    this.#words = context.state.words;
    this.#base = descriptor.state / 4;
  }

  read(offset: number, size: number): number {
    this.#saw(size);
    return Number(this.#descriptor.options["seed"] ?? 0) + offset;
  }

  write(_offset: number, size: number, value: number): void {
    this.#saw(size);
    Atomics.add(this.#words, this.#base + WORD.writes, 1);
    if (value === 0xbad) throw new RangeError("thrown on purpose by a front");
    this.#context.signal(this.#descriptor, "written");
  }

  readWide(_offset: number): bigint {
    this.#saw(8);
    return 0x1122_3344_5566_7788n;
  }

  writeWide(_offset: number, value: bigint): void {
    this.#saw(8);
    Atomics.store(this.#words, this.#base + WORD.wideLow, Number(BigInt.asIntN(32, value)));
    Atomics.store(this.#words, this.#base + WORD.wideHigh, Number(value >> 32n));
  }

  #saw(size: number): void {
    Atomics.or(this.#words, this.#base + WORD.widths, size);
  }
}

/** The registers. */
export function front(descriptor: DeviceDescriptor, context: FrontContext): BusDevice {
  return new Counter(descriptor, context);
}

/** Interrupts the guest some time after a write, or fails then. */
export function back(descriptor: DeviceDescriptor, context: BackContext): Back {
  const written = EventFd.borrow(descriptor.fds["written"] ?? -1);
  const line = context.irqLine(descriptor);
  const timer = context.loop.timer(() => {
    if (descriptor.options["fails"] === true) throw new TypeError("thrown on purpose by a timer");
    line.trigger();
  });
  return {
    activate() {
      context.loop.add(written.number, EPOLLIN, () => {
        written.read();
        timer.set(20);
      });
    },
    drain() {},
    resume() {},
    reset() {},
    save: () => new Uint8Array(),
    restore() {},
    close() {
      context.loop.remove(written.number);
      timer[Symbol.dispose]();
    },
  };
}

/** Fails at the driver's first request. */
export function virtio(): VirtioDevice {
  return {
    processQueue() {
      throw new TypeError("thrown on purpose by a queue");
    },
  };
}
