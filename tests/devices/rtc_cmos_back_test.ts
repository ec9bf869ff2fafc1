import { assert, assertEquals } from "@std/assert";
import { RTC_24H, RTC_PIE, RTC_REG_B, RTC_REG_C, RTC_UIE } from "../../src/abi/devices.ts";
import { RtcCmos, rtcCmos } from "../../src/devices/rtc_cmos.ts";
import { RtcCmosBack } from "../../src/devices/rtc_cmos_back.ts";
import { libcRequirement } from "../support/libc.ts";
import { BackRig } from "./back_fixture.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

const NEEDS = libcRequirement();

class Fixture implements Disposable {
  readonly context = new RecordingContext();
  readonly rig = new BackRig(this.context);
  readonly rtc: RtcCmos;
  readonly back: RtcCmosBack;

  constructor() {
    const plan = rtcCmos({ id: "rtc0", port: 0x70, gsi: 8 });
    const descriptor = this.rig.connect(place(plan, this.context));
    this.rtc = new RtcCmos(descriptor, this.context);
    this.back = new RtcCmosBack(descriptor, this.rig);
    this.rig.start(this.back);
  }

  write(register: number, value: number): void {
    this.rtc.write(0, 2, register + value * 256);
  }

  takeFlags(): number {
    this.rtc.write(0, 1, RTC_REG_C);
    return this.rtc.read(1, 1);
  }

  /** Turns the loop for `duration` ms. */
  run(duration: number): void {
    const end = performance.now() + duration;
    for (let left = duration; left > 0; left = end - performance.now()) {
      this.rig.loop.runOnce(Math.ceil(left));
    }
  }

  [Symbol.dispose](): void {
    this.rig[Symbol.dispose]();
  }
}

Deno.test(
  "RtcCmosBack raises the update interrupt at the next second, once until it is read",
  NEEDS,
  () => {
    using rtc = new Fixture();
    rtc.takeFlags();
    rtc.write(RTC_REG_B, RTC_24H | RTC_UIE);
    rtc.run(1100);
    assertEquals(rtc.context.takePulses(), 1);
    assertEquals(rtc.takeFlags() & (RTC_UIE | 0x80), RTC_UIE | 0x80);
  },
);

Deno.test("RtcCmosBack raises periodic interrupts as long as the guest takes them", NEEDS, () => {
  using rtc = new Fixture();
  rtc.write(0x0a, 0x2b);
  rtc.takeFlags();
  rtc.write(RTC_REG_B, RTC_24H | RTC_PIE);
  let raised = 0;
  for (const end = performance.now() + 400; performance.now() < end;) {
    rtc.rig.loop.runOnce(50);
    raised += rtc.context.takePulses();
    rtc.takeFlags();
  }
  assert(raised >= 5 && raised <= 14, `${raised} interrupts of 32 Hz in 400 ms`);
  rtc.run(200);
  rtc.context.takePulses();
  rtc.run(200);
  assertEquals(rtc.context.pulses, 0, "the last one was not taken");
});

Deno.test("RtcCmosBack raises nothing while it is drained", NEEDS, () => {
  using rtc = new Fixture();
  rtc.write(RTC_REG_B, RTC_24H | RTC_PIE);
  rtc.run(20);
  rtc.takeFlags();
  rtc.context.takePulses();
  rtc.back.drain();
  rtc.run(50);
  assertEquals(rtc.context.pulses, 0);
  rtc.back.resume();
  rtc.run(20);
  assertEquals(rtc.context.takePulses(), 1);
});
