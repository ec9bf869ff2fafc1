/**
 * The clock of a PC as both its halves see it: registers and time in shared state, time taken from the host.
 *
 * @module
 */

import {
  RTC_24H,
  RTC_AIE,
  RTC_CENTURY,
  RTC_DAY_OF_MONTH,
  RTC_DAY_OF_WEEK,
  RTC_DIV_MASK,
  RTC_DM_BINARY,
  RTC_HOURS,
  RTC_HOURS_ALARM,
  RTC_IRQF,
  RTC_MINUTES,
  RTC_MINUTES_ALARM,
  RTC_MONTH,
  RTC_PIE,
  RTC_RATE_MASK,
  RTC_REF_CLCK_32KHZ,
  RTC_REG_A,
  RTC_REG_B,
  RTC_REG_C,
  RTC_SECONDS,
  RTC_SECONDS_ALARM,
  RTC_SET,
  RTC_UIE,
  RTC_YEAR,
} from "../abi/devices.ts";
import { sizeof, struct } from "../base/struct.ts";
import type { SharedLock, SharedState } from "../memory/shared_state.ts";

/** Registers and memory: 128 bytes, as many as the index port can name. */
export const RTC_RAM_SIZE = 128;

/**
 * The clock's shared state. `offset`: seconds (f64) that the guest's clock is ahead of the host's UTC; `checked`: guest time in
 * ms (f64) up to which register C's flags are right; `ram`: the registers, of which those of the time hold only while the
 * clock stands.
 */
export const RtcState = struct({
  offset: "u64",
  checked: "u64",
  lock: "u32",
  index: "u32",
  ram: ["u8", RTC_RAM_SIZE],
});

/** Bytes of the clock's block. */
export const RTC_STATE_SIZE = sizeof(RtcState);

/** What register A holds in a clock that runs: 1024 Hz periodic rate, as PC firmware sets it. */
const REG_A_AT_START = RTC_REF_CLCK_32KHZ | 6;
const DAY = 86_400;
const PM = 0x80;

/** Registers that show the time while the clock runs. */
export const TIME_REGISTERS: readonly number[] = [
  RTC_SECONDS,
  RTC_MINUTES,
  RTC_HOURS,
  RTC_DAY_OF_WEEK,
  RTC_DAY_OF_MONTH,
  RTC_MONTH,
  RTC_YEAR,
  RTC_CENTURY,
];

/** A source of host time: ms since 1970, UTC. */
export type WallClock = () => number;

/** A clock's block of shared state. Everything here is done with the lock held. */
export class RtcBlock {
  /** Guards the block. */
  readonly lock: SharedLock;
  readonly #view: DataView<SharedArrayBuffer>;
  readonly #ram: Uint8Array<SharedArrayBuffer>;
  readonly #clock: WallClock;

  /**
   * @param state the machine's shared state
   * @param offset of the block
   * @param clock the host's time
   */
  constructor(state: SharedState, offset: number, clock: WallClock = Date.now) {
    this.lock = state.lock(offset + RtcState.lock);
    this.#view = state.block(offset, RTC_STATE_SIZE);
    this.#ram = state.bytes(offset + RtcState.ram, RTC_RAM_SIZE);
    this.#clock = clock;
  }

  /** What firmware leaves behind: a clock that runs, BCD, 24 hours. */
  powerOn(): void {
    this.set(RTC_REG_A, REG_A_AT_START);
    this.set(RTC_REG_B, RTC_24H);
    this.#setChecked(this.now());
  }

  /** Which register the data port shows. */
  get index(): number {
    return this.#view.getUint32(RtcState.index, true) % RTC_RAM_SIZE;
  }

  set index(value: number) {
    this.#view.setUint32(RtcState.index, value % RTC_RAM_SIZE, true);
  }

  /** A register as it is stored. */
  get(register: number): number {
    return this.#ram[register] ?? 0;
  }

  /** Stores a register. */
  set(register: number, value: number): void {
    this.#ram[register] = value;
  }

  /** The guest's time: ms since 1970. */
  now(): number {
    return this.#clock() + this.#view.getFloat64(RtcState.offset, true) * 1000;
  }

  /** Whether the clock counts: it stands while the guest sets it, and while its divider is held. */
  get running(): boolean {
    return (this.get(RTC_REG_B) & RTC_SET) === 0 &&
      (this.get(RTC_REG_A) & RTC_DIV_MASK) === RTC_REF_CLCK_32KHZ;
  }

  /** Whether the guest wants any interrupt: without one the back has nothing to wait for. */
  get wantsInterrupts(): boolean {
    return (this.get(RTC_REG_B) & INTERRUPTS) !== 0;
  }

  /** Brings the time into the registers. */
  latch(): void {
    const time = new Date(this.now());
    for (const register of TIME_REGISTERS) this.set(register, this.#shown(register, time));
  }

  /** What a register of the time shows while the clock runs. */
  timeRegister(register: number): number {
    return this.#shown(register, new Date(this.now()));
  }

  #shown(register: number, time: Date): number {
    switch (register) {
      case RTC_SECONDS:
        return this.#encode(time.getUTCSeconds());
      case RTC_MINUTES:
        return this.#encode(time.getUTCMinutes());
      case RTC_HOURS:
        return this.#encodeHour(time.getUTCHours());
      case RTC_DAY_OF_WEEK:
        return time.getUTCDay() + 1;
      case RTC_DAY_OF_MONTH:
        return this.#encode(time.getUTCDate());
      case RTC_MONTH:
        return this.#encode(time.getUTCMonth() + 1);
      case RTC_YEAR:
        return this.#encode(time.getUTCFullYear() % 100);
      default:
        return this.#encode(Math.trunc(time.getUTCFullYear() / 100) % 100);
    }
  }

  /** Takes the time from the registers; its fraction of a second stays the host's. Impossible dates run over. */
  commit(): void {
    const time = new Date(0);
    const year = this.#decode(RTC_CENTURY) * 100 + this.#decode(RTC_YEAR);
    time.setUTCFullYear(year, this.#decode(RTC_MONTH) - 1, this.#decode(RTC_DAY_OF_MONTH));
    time.setUTCHours(this.#hour(RTC_HOURS), this.#decode(RTC_MINUTES), this.#decode(RTC_SECONDS));
    const host = Math.floor(this.#clock() / 1000);
    this.#view.setFloat64(RtcState.offset, time.getTime() / 1000 - host, true);
    this.#setChecked(this.now());
  }

  /** Raises in register C what has happened since the last look. */
  refreshFlags(): void {
    const now = this.now();
    const before = this.#view.getFloat64(RtcState.checked, true);
    this.#setChecked(now);
    if (!this.running || now <= before) return;
    let flags = 0;
    const period = this.#period();
    if (period > 0 && Math.floor(now / period) > Math.floor(before / period)) flags |= RTC_PIE;
    const second = Math.floor(now / 1000);
    const last = Math.floor(before / 1000);
    if (second > last) flags |= RTC_UIE;
    const alarm = this.#nextAlarm(Math.max(last, second - DAY));
    if (alarm !== undefined && alarm <= second) flags |= RTC_AIE;
    this.set(RTC_REG_C, this.get(RTC_REG_C) | flags);
  }

  /** Sets the interrupt flag where a flag is up whose interrupt is enabled; says whether it was not set before. */
  raiseInterrupt(): boolean {
    const flags = this.get(RTC_REG_C);
    if ((flags & RTC_IRQF) !== 0 || (flags & this.get(RTC_REG_B) & INTERRUPTS) === 0) return false;
    this.set(RTC_REG_C, flags | RTC_IRQF);
    return true;
  }

  /** Ms until the next flag rises whose interrupt is enabled; undefined for never, or where one is up already. */
  untilInterrupt(): number | undefined {
    const enabled = this.get(RTC_REG_B) & INTERRUPTS;
    if (enabled === 0 || !this.running || (this.get(RTC_REG_C) & RTC_IRQF) !== 0) return undefined;
    const now = this.now();
    const second = Math.floor(now / 1000);
    const period = this.#period();
    const alarm = (enabled & RTC_AIE) === 0 ? undefined : this.#nextAlarm(second);
    const next = Math.min(
      (enabled & RTC_UIE) === 0 ? Infinity : (second + 1) * 1000,
      (enabled & RTC_PIE) === 0 || period === 0
        ? Infinity
        : (Math.floor(now / period) + 1) * period,
      alarm === undefined ? Infinity : alarm * 1000,
    );
    return next === Infinity ? undefined : next - now;
  }

  /** The periodic interrupt's period in ms; 0 where it is off. */
  #period(): number {
    const rate = this.get(RTC_REG_A) & RTC_RATE_MASK;
    if (rate === 0) return 0;
    // The two fastest taps of the divider don't exist: they give the rates of 8 and 9.
    return 2 ** ((rate < 3 ? rate + 7 : rate) - 1) / 32.768;
  }

  /** The first second after `after`, within a day, at which the alarm goes off. */
  #nextAlarm(after: number): number | undefined {
    const hour = this.#alarm(RTC_HOURS_ALARM);
    const minute = this.#alarm(RTC_MINUTES_ALARM);
    const second = this.#alarm(RTC_SECONDS_ALARM);
    for (let time = after + 1; time <= after + DAY;) {
      const ofDay = ((time % DAY) + DAY) % DAY;
      if (hour >= 0 && Math.trunc(ofDay / 3600) !== hour) time += 3600 - ofDay % 3600;
      else if (minute >= 0 && Math.trunc(ofDay / 60) % 60 !== minute) time += 60 - ofDay % 60;
      else if (second >= 0 && ofDay % 60 !== second) time++;
      else return time;
    }
    return undefined;
  }

  /** An alarm register's number, or -1 for one that any time matches. */
  #alarm(register: number): number {
    if (this.get(register) >= 0xc0) return -1;
    return register === RTC_HOURS_ALARM ? this.#hour(register) : this.#decode(register);
  }

  #hour(register: number): number {
    if ((this.get(RTC_REG_B) & RTC_24H) !== 0) return this.#decode(register);
    const stored = this.get(register);
    const hour = this.#decodeByte(stored & ~PM) % 12;
    return (stored & PM) === 0 ? hour : hour + 12;
  }

  #encodeHour(hour: number): number {
    if ((this.get(RTC_REG_B) & RTC_24H) !== 0) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) | (hour < 12 ? 0 : PM);
  }

  #encode(value: number): number {
    if ((this.get(RTC_REG_B) & RTC_DM_BINARY) !== 0) return value;
    return Math.trunc(value / 10) * 16 + value % 10;
  }

  #decode(register: number): number {
    return this.#decodeByte(this.get(register));
  }

  #decodeByte(value: number): number {
    if ((this.get(RTC_REG_B) & RTC_DM_BINARY) !== 0) return value;
    return (value >>> 4) * 10 + value % 16;
  }

  #setChecked(time: number): void {
    this.#view.setFloat64(RtcState.checked, time, true);
  }
}

const INTERRUPTS = RTC_PIE | RTC_AIE | RTC_UIE;
