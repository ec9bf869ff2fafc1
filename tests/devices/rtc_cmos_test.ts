import { assert, assertEquals } from "@std/assert";
import {
  RTC_24H,
  RTC_AIE,
  RTC_CENTURY,
  RTC_DAY_OF_MONTH,
  RTC_DAY_OF_WEEK,
  RTC_DM_BINARY,
  RTC_HOURS,
  RTC_HOURS_ALARM,
  RTC_IRQF,
  RTC_MINUTES,
  RTC_MINUTES_ALARM,
  RTC_MONTH,
  RTC_PIE,
  RTC_REG_A,
  RTC_REG_B,
  RTC_REG_C,
  RTC_REG_D,
  RTC_SECONDS,
  RTC_SECONDS_ALARM,
  RTC_SET,
  RTC_UIE,
  RTC_UIP,
  RTC_VRT,
  RTC_YEAR,
} from "../../src/abi/devices.ts";
import { RtcCmos, rtcCmos } from "../../src/devices/rtc_cmos.ts";
import { RtcBlock } from "../../src/devices/rtc_cmos_state.ts";
import { fuzz } from "../support/random.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

const INDEX = 0;
const DATA = 1;
/** A Sunday. */
const START = Date.UTC(2026, 10, 29, 23, 59, 58, 250);

class Fixture {
  readonly context = new RecordingContext();
  readonly rtc: RtcCmos;
  readonly block: RtcBlock;
  host = START;

  constructor() {
    const clock = () => this.host;
    const descriptor = place(rtcCmos({ id: "rtc0", port: 0x70, gsi: 8 }), this.context);
    this.rtc = new RtcCmos(descriptor, this.context, clock);
    this.block = new RtcBlock(this.context.state, descriptor.state, clock);
    this.block.powerOn();
  }

  read(register: number): number {
    this.rtc.write(INDEX, 1, register);
    return this.rtc.read(DATA, 1);
  }

  write(register: number, value: number): void {
    this.rtc.write(INDEX, 1, register);
    this.rtc.write(DATA, 1, value);
  }

  /** Year, month, day, hours, minutes, seconds as the registers show them. */
  time(): number[] {
    return [RTC_YEAR, RTC_MONTH, RTC_DAY_OF_MONTH, RTC_HOURS, RTC_MINUTES, RTC_SECONDS]
      .map((register) => this.read(register));
  }

  /** The guest's time as its own system would understand it: ms since 1970. */
  guestTime(): number {
    return this.block.now();
  }
}

Deno.test("RtcCmos shows the host's UTC in BCD and 24 hours after power-on", () => {
  const rtc = new Fixture();
  assertEquals(rtc.time(), [0x26, 0x11, 0x29, 0x23, 0x59, 0x58]);
  assertEquals(rtc.read(RTC_CENTURY), 0x20);
  assertEquals(rtc.read(RTC_DAY_OF_WEEK), 1);
  assertEquals(rtc.read(RTC_REG_B), RTC_24H);
  assertEquals(rtc.read(RTC_REG_D), RTC_VRT);
});

Deno.test("RtcCmos goes on with the host's clock", () => {
  const rtc = new Fixture();
  rtc.host += 2000;
  assertEquals(rtc.time(), [0x26, 0x11, 0x30, 0x00, 0x00, 0x00]);
});

Deno.test("RtcCmos is within 2 s of the host without a clock of its own", () => {
  const context = new RecordingContext();
  const rtc = new RtcCmos(place(rtcCmos({ id: "rtc0", port: 0x70, gsi: 8 }), context), context);
  const decimal = [RTC_HOURS, RTC_MINUTES, RTC_SECONDS].map((register) => {
    rtc.write(INDEX, 1, register);
    return Number(rtc.read(DATA, 1).toString(16));
  });
  const [hours = 0, minutes = 0, seconds = 0] = decimal;
  const now = Math.floor(Date.now() / 1000) % 86_400;
  const apart = Math.abs(hours * 3600 + minutes * 60 + seconds - now);
  assert(Math.min(apart, 86_400 - apart) <= 2, `${decimal.join(":")} for second ${now} of the day`);
});

Deno.test("RtcCmos counts in binary when the guest asks for it", () => {
  const rtc = new Fixture();
  rtc.write(RTC_REG_B, RTC_24H | RTC_DM_BINARY);
  assertEquals(rtc.time(), [26, 11, 29, 23, 59, 58]);
});

Deno.test("RtcCmos counts 12 hours when the guest asks for it", () => {
  const rtc = new Fixture();
  rtc.write(RTC_REG_B, 0);
  assertEquals(rtc.read(RTC_HOURS), 0x91, "11 pm");
  rtc.host += 2000;
  assertEquals(rtc.read(RTC_HOURS), 0x12, "midnight");
  rtc.host += 12 * 3600_000;
  assertEquals(rtc.read(RTC_HOURS), 0x92, "noon");
});

Deno.test("RtcCmos says that an update is near, and stops saying so", () => {
  const rtc = new Fixture();
  assertEquals(rtc.read(RTC_REG_A) & RTC_UIP, 0);
  rtc.host = START - 250 + 999;
  assertEquals(rtc.read(RTC_REG_A) & RTC_UIP, RTC_UIP);
  rtc.host += 1;
  assertEquals(rtc.read(RTC_REG_A) & RTC_UIP, 0);
});

Deno.test("RtcCmos takes the time that is set while it stands, as Linux sets it", () => {
  const rtc = new Fixture();
  const control = rtc.read(RTC_REG_B);
  const divider = rtc.read(RTC_REG_A);
  rtc.write(RTC_REG_B, control | RTC_SET);
  rtc.write(RTC_REG_A, divider | 0x70);
  rtc.write(RTC_YEAR, 0x31);
  rtc.write(RTC_MONTH, 0x02);
  rtc.write(RTC_DAY_OF_MONTH, 0x03);
  rtc.write(RTC_HOURS, 0x04);
  rtc.write(RTC_MINUTES, 0x05);
  rtc.write(RTC_SECONDS, 0x06);
  rtc.write(RTC_CENTURY, 0x21);
  rtc.write(RTC_REG_B, control);
  rtc.write(RTC_REG_A, divider);
  assertEquals(rtc.guestTime(), Date.UTC(2131, 1, 3, 4, 5, 6, 250));
  rtc.host += 3000;
  assertEquals(rtc.time(), [0x31, 0x02, 0x03, 0x04, 0x05, 0x09]);
});

Deno.test("RtcCmos stands while it is being set", () => {
  const rtc = new Fixture();
  rtc.write(RTC_REG_B, RTC_24H | RTC_SET);
  rtc.host += 60_000;
  assertEquals(rtc.read(RTC_SECONDS), 0x58);
  rtc.write(RTC_REG_B, RTC_24H);
  assertEquals(rtc.read(RTC_SECONDS), 0x58);
});

Deno.test("RtcCmos takes a register that is written while it runs", () => {
  const rtc = new Fixture();
  rtc.write(RTC_HOURS, 0x01);
  rtc.host += 1000;
  assertEquals(rtc.time().slice(3), [0x01, 0x59, 0x59]);
});

Deno.test("RtcCmos lets impossible dates run over", () => {
  const rtc = new Fixture();
  rtc.write(RTC_MONTH, 0x02);
  assertEquals(rtc.time().slice(0, 3), [0x26, 0x03, 0x01]);
});

Deno.test("RtcCmos keeps its memory, and the NMI bit of the index is no part of the address", () => {
  const rtc = new Fixture();
  rtc.write(0x0e, 0xa5);
  rtc.write(0x7f, 0x5a);
  assertEquals(rtc.read(0x80 | 0x0e), 0xa5);
  assertEquals(rtc.read(0x7f), 0x5a);
});

Deno.test("RtcCmos takes index and data in one 16-bit write", () => {
  const rtc = new Fixture();
  rtc.rtc.write(INDEX, 2, 0xa50e);
  assertEquals(rtc.read(0x0e), 0xa5);
});

Deno.test("RtcCmos raises the update flag once a second, until it is read", () => {
  const rtc = new Fixture();
  rtc.read(RTC_REG_C);
  assertEquals(rtc.read(RTC_REG_C) & RTC_UIE, 0);
  rtc.host += 1000;
  assertEquals(rtc.read(RTC_REG_C) & (RTC_UIE | RTC_IRQF), RTC_UIE, "not enabled, so no IRQF");
  assertEquals(rtc.read(RTC_REG_C) & RTC_UIE, 0);
});

Deno.test("RtcCmos raises the alarm flag in the second that was set", () => {
  const rtc = new Fixture();
  rtc.write(RTC_HOURS_ALARM, 0x00);
  rtc.write(RTC_MINUTES_ALARM, 0x00);
  rtc.write(RTC_SECONDS_ALARM, 0x01);
  rtc.write(RTC_REG_B, RTC_24H | RTC_AIE);
  rtc.host += 2000;
  assertEquals(rtc.read(RTC_REG_C) & RTC_AIE, 0);
  rtc.host += 1000;
  assertEquals(rtc.read(RTC_REG_C) & (RTC_AIE | RTC_IRQF), RTC_AIE | RTC_IRQF);
  rtc.host += 1000;
  assertEquals(rtc.read(RTC_REG_C) & RTC_AIE, 0);
});

Deno.test("RtcCmos takes 0xc0 and above in an alarm register for any time", () => {
  const rtc = new Fixture();
  rtc.write(RTC_HOURS_ALARM, 0xff);
  rtc.write(RTC_MINUTES_ALARM, 0xc0);
  rtc.write(RTC_SECONDS_ALARM, 0x30);
  rtc.read(RTC_REG_C);
  rtc.host = Date.UTC(2026, 10, 30, 7, 13, 29);
  rtc.read(RTC_REG_C);
  rtc.host += 1000;
  assertEquals(rtc.read(RTC_REG_C) & RTC_AIE, RTC_AIE);
});

Deno.test("RtcCmos raises the periodic flag at the rate of register A", () => {
  const rtc = new Fixture();
  rtc.write(RTC_REG_A, 0x26);
  rtc.read(RTC_REG_C);
  rtc.host += 1;
  assertEquals(rtc.read(RTC_REG_C) & RTC_PIE, RTC_PIE, "1024 Hz");
  rtc.write(RTC_REG_A, 0x2f);
  rtc.read(RTC_REG_C);
  rtc.host += 200;
  assertEquals(rtc.read(RTC_REG_C) & RTC_PIE, 0, "2 Hz, 450 ms after the second");
  rtc.host += 100;
  assertEquals(rtc.read(RTC_REG_C) & RTC_PIE, RTC_PIE, "2 Hz, past the half second");
});

Deno.test("RtcCmos ends update interrupts when the clock is set", () => {
  const rtc = new Fixture();
  rtc.write(RTC_REG_B, RTC_24H | RTC_UIE);
  rtc.write(RTC_REG_B, RTC_24H | RTC_UIE | RTC_SET);
  assertEquals(rtc.read(RTC_REG_B) & RTC_UIE, 0);
});

Deno.test("RtcBlock.untilInterrupt() waits for the nearest enabled cause", () => {
  const rtc = new Fixture();
  assertEquals(rtc.block.untilInterrupt(), undefined);
  rtc.write(RTC_HOURS_ALARM, 0x00);
  rtc.write(RTC_REG_B, RTC_24H | RTC_AIE);
  assertEquals(rtc.block.untilInterrupt(), 1750);
  rtc.write(RTC_REG_B, RTC_24H | RTC_AIE | RTC_UIE);
  assertEquals(rtc.block.untilInterrupt(), 750);
  rtc.write(RTC_REG_A, 0x2f);
  rtc.write(RTC_REG_B, RTC_24H | RTC_PIE);
  assertEquals(rtc.block.untilInterrupt(), 250);
});

Deno.test("RtcCmos tells its back of writes that change the next interrupt, and of flags taken", () => {
  const rtc = new Fixture();
  rtc.read(RTC_SECONDS);
  rtc.write(0x0e, 1);
  assertEquals(rtc.context.signals, []);
  rtc.write(RTC_REG_B, RTC_24H | RTC_UIE);
  rtc.host += 1000;
  rtc.read(RTC_REG_C);
  assertEquals(rtc.context.signals, ["notify", "notify"]);
  rtc.read(RTC_REG_C);
  assertEquals(rtc.context.signals.length, 2, "nothing was taken");
});

Deno.test("RtcCmos leaves its back asleep while the guest wants no interrupt", () => {
  const rtc = new Fixture();
  rtc.write(RTC_REG_B, RTC_24H);
  rtc.write(RTC_SECONDS, 0);
  rtc.host += 1000;
  assert(rtc.read(RTC_REG_C) !== 0, "a second has passed");
  assertEquals(rtc.context.signals, []);
});

Deno.test("RtcCmos survives any access of a hostile guest", () => {
  fuzz((random) => {
    const rtc = new Fixture();
    for (let i = 0; i < 40; i++) {
      rtc.host += random.pick([0, 1, 999, 60_000, -5_000]);
      if (random.chance(0.5)) {
        const size = random.pick([1, 2, 4]);
        rtc.rtc.write(random.below(4), size, random.hostile32() % 2 ** (8 * size));
        const value = rtc.rtc.read(random.below(4), size);
        assert(value >= 0 && value < 2 ** (8 * size));
      } else rtc.write(random.below(0x34), random.u32() % 256);
      rtc.block.refreshFlags();
      const wait = rtc.block.untilInterrupt();
      assert(wait === undefined || (wait > 0 && wait <= 86_401_000), `${wait}`);
    }
    assert(Number.isFinite(rtc.guestTime()));
  });
});
