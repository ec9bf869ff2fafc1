/**
 * The MC146818 clock of a PC with its CMOS memory: an index port and a data port. Time is the host's UTC plus what the guest has
 * set; it is not kept past the machine's end.
 *
 * @module
 */

import {
  RTC_HOURS_ALARM,
  RTC_MINUTES_ALARM,
  RTC_REG_A,
  RTC_REG_B,
  RTC_REG_C,
  RTC_REG_D,
  RTC_SECONDS_ALARM,
  RTC_SET,
  RTC_UIE,
  RTC_UIP,
  RTC_VRT,
} from "../abi/devices.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { ByteDevice, OPEN_BUS } from "./byte_device.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";
import {
  RTC_RAM_SIZE,
  RTC_STATE_SIZE,
  RtcBlock,
  TIME_REGISTERS,
  type WallClock,
} from "./rtc_cmos_state.ts";

const INDEX = 0;
const DATA = 1;

/** A clock for the machine's builder. `port`: that of the index, 0x70 in a PC; data is the next. */
export function rtcCmos(
  options: { readonly id: string; readonly port: number; readonly gsi: number },
): DevicePlan {
  const { id, port, gsi } = options;
  return {
    kind: "rtc-cmos",
    id,
    windows: [{ bus: "port", base: port, size: 2 }],
    gsi,
    createState: (state) => createState(state, id),
    events: ["notify"],
    // Nothing happens at the choice of a register before data is read or written: one exit an access instead of two.
    coalesced: [{ offset: INDEX, size: 1 }],
    back: "shared",
  };
}

function createState(state: SharedState, id: string): number {
  const offset = state.allocate(RTC_STATE_SIZE, id);
  new RtcBlock(state, offset).powerOn();
  return offset;
}

/** The two ports. */
export class RtcCmos extends ByteDevice {
  readonly #descriptor: DeviceDescriptor;
  readonly #context: FrontContext;
  readonly #rtc: RtcBlock;

  /**
   * @param descriptor of kind `rtc-cmos`
   * @param context of the isolate that it answers in
   * @param clock the host's time
   */
  constructor(descriptor: DeviceDescriptor, context: FrontContext, clock?: WallClock) {
    super();
    this.#descriptor = descriptor;
    this.#context = context;
    this.#rtc = new RtcBlock(context.state, descriptor.state, clock);
  }

  override readByte(offset: number): number {
    if (offset !== DATA) return OPEN_BUS;
    this.#rtc.lock.acquire();
    const register = this.#rtc.index;
    const value = this.#readRegister(register);
    // The back waits for this before it counts the next interrupt.
    const tells = register === RTC_REG_C && value !== 0 && this.#rtc.wantsInterrupts;
    this.#rtc.lock.release();
    if (tells) this.#context.signal(this.#descriptor, "notify");
    return value;
  }

  override writeByte(offset: number, value: number): void {
    this.#rtc.lock.acquire();
    // The index port's highest bit masks NMIs, of which there are none.
    if (offset === INDEX) this.#rtc.index = value % RTC_RAM_SIZE;
    const changesTimer = offset === DATA && this.#writeRegister(this.#rtc.index, value);
    const tells = changesTimer && this.#rtc.wantsInterrupts;
    this.#rtc.lock.release();
    if (tells) this.#context.signal(this.#descriptor, "notify");
  }

  #readRegister(register: number): number {
    switch (register) {
      case RTC_REG_A:
        return this.#rtc.get(RTC_REG_A) | (this.#updating() ? RTC_UIP : 0);
      case RTC_REG_C:
        return this.#takeFlags();
      case RTC_REG_D:
        return RTC_VRT;
      default:
        return isTime(register) && this.#rtc.running
          ? this.#rtc.timeRegister(register)
          : this.#rtc.get(register);
    }
  }

  /** Takes a write, and says whether the next interrupt may be another one now. */
  #writeRegister(register: number, value: number): boolean {
    switch (register) {
      case RTC_REG_A:
        return this.#control(register, value & ~RTC_UIP);
      case RTC_REG_B:
        // Setting the clock ends its update interrupts.
        return this.#control(register, (value & RTC_SET) === 0 ? value : value & ~RTC_UIE);
      case RTC_REG_C:
      case RTC_REG_D:
        return false;
      default:
        return isTime(register)
          ? this.#writeTime(register, value)
          : this.#writeRam(register, value);
    }
  }

  /** Registers A and B stop the clock and let it go on: time is taken out of the registers when it goes on. */
  #control(register: number, value: number): boolean {
    this.#rtc.refreshFlags();
    const wasRunning = this.#rtc.running;
    if (wasRunning) this.#rtc.latch();
    this.#rtc.set(register, value);
    if (!wasRunning && this.#rtc.running) this.#rtc.commit();
    return true;
  }

  #writeTime(register: number, value: number): boolean {
    const running = this.#rtc.running;
    if (running) this.#rtc.latch();
    this.#rtc.set(register, value);
    if (running) this.#rtc.commit();
    return running;
  }

  #writeRam(register: number, value: number): boolean {
    const alarm = register === RTC_SECONDS_ALARM || register === RTC_MINUTES_ALARM ||
      register === RTC_HOURS_ALARM;
    // What has passed is judged by the alarm as it was.
    if (alarm) this.#rtc.refreshFlags();
    this.#rtc.set(register, value);
    return alarm;
  }

  #takeFlags(): number {
    this.#rtc.refreshFlags();
    this.#rtc.raiseInterrupt();
    const flags = this.#rtc.get(RTC_REG_C);
    this.#rtc.set(RTC_REG_C, 0);
    return flags;
  }

  /** The chip says so 244 µs ahead; the host's clock here counts ms. */
  #updating(): boolean {
    return this.#rtc.running && Math.floor(this.#rtc.now()) % 1000 === 999;
  }
}

function isTime(register: number): boolean {
  return TIME_REGISTERS.includes(register);
}
