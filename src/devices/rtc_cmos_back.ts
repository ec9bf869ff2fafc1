/**
 * The back of a PC's clock: raises the interrupts that come when no vCPU asks: alarm, update ended, periodic.
 *
 * @module
 */

import { EPOLLIN } from "../abi/linux.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import type { LoopTimer } from "../host/event_loop.ts";
import { EventFd } from "../host/fd.ts";
import type { Back, BackContext } from "./back.ts";
import { RtcBlock } from "./rtc_cmos_state.ts";

/** The longest wait in ms, after which the host's clock is looked at again: it may have been set. */
const LONGEST_WAIT = 60_000;

/** Waits for the clock's next interrupt and raises it; the one after it only when the guest has read register C. */
export class RtcCmosBack implements Back {
  readonly #context: BackContext;
  readonly #irq: IrqLine;
  readonly #rtc: RtcBlock;
  readonly #notify: EventFd;
  #timer: LoopTimer | undefined;
  #active = false;

  /**
   * @param descriptor of kind `rtc-cmos` with the event `notify`
   * @param context of the I/O worker
   */
  constructor(descriptor: DeviceDescriptor, context: BackContext) {
    this.#context = context;
    this.#irq = context.irqLine(descriptor);
    this.#rtc = new RtcBlock(context.state, descriptor.state);
    this.#notify = EventFd.borrow(descriptor.fds["notify"] ?? -1);
  }

  activate(): void {
    this.#timer = this.#context.loop.timer(() => this.#look());
    this.#context.loop.add(this.#notify.number, EPOLLIN, () => {
      this.#notify.read();
      this.#look();
    });
    this.resume();
  }

  drain(): void {
    this.#active = false;
    this.#timer?.set(0);
  }

  resume(): void {
    this.#active = true;
    this.#look();
  }

  /** What the guest set of the time stays, as behind a PC's reset button: the clock has a battery. */
  reset(): void {
    this.close();
  }

  save(_version: number): Uint8Array {
    return new Uint8Array();
  }

  restore(_version: number, _bytes: Uint8Array): void {}

  close(): void {
    if (this.#timer === undefined) return;
    this.drain();
    this.#context.loop.remove(this.#notify.number);
    this.#timer[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** Raises the interrupt if it is due, else waits for it. */
  #look(): void {
    if (!this.#active) return;
    this.#rtc.lock.acquire();
    this.#rtc.refreshFlags();
    const raised = this.#rtc.raiseInterrupt();
    const wait = this.#rtc.untilInterrupt();
    this.#rtc.lock.release();
    if (raised) this.#irq.trigger();
    // A wait of 0 would stop the timer.
    if (wait !== undefined) this.#timer?.set(Math.min(Math.max(wait, 0.05), LONGEST_WAIT));
  }
}
