import { assert, assertEquals } from "@std/assert";
import { ACPI_GED_POWER_BUTTON, ACPI_RESET_VALUE } from "../../src/abi/acpi.ts";
import {
  ACPI_GED_PORT,
  ACPI_PORT,
  ACPI_PORT_SIZE,
  ACPI_RESET_PORT,
  ACPI_SLEEP_CONTROL_PORT,
  ACPI_SLEEP_STATUS_PORT,
} from "../../src/arch/x86_64/layout.ts";
import { AcpiPm, acpiPm, pressPowerButton } from "../../src/devices/acpi_pm.ts";
import { fuzz } from "../support/random.ts";
import { place, RecordingContext } from "./chip_fixture.ts";

const CONTROL = ACPI_SLEEP_CONTROL_PORT - ACPI_PORT;
const STATUS = ACPI_SLEEP_STATUS_PORT - ACPI_PORT;
const RESET = ACPI_RESET_PORT - ACPI_PORT;
const EVENT = ACPI_GED_PORT - ACPI_PORT;
const SLP_EN = 0x20;

class Fixture {
  readonly context = new RecordingContext();
  readonly descriptor = place(
    acpiPm({ id: "acpi", port: ACPI_PORT, gsi: 9 }),
    this.context,
  );
  readonly chip = new AcpiPm(this.descriptor, this.context);

  press(): void {
    const irq = this.context.irqLine(this.descriptor);
    pressPowerButton(this.context.state, this.descriptor, irq);
  }
}

Deno.test("acpiPm() claims the ports that the layout keeps for it", () => {
  assertEquals(new Fixture().descriptor.windows, [
    { bus: "port", base: ACPI_PORT, size: ACPI_PORT_SIZE },
  ]);
});

Deno.test("AcpiPm powers off for sleep type 5 when it is enabled", () => {
  const acpi = new Fixture();
  acpi.chip.write(CONTROL, 1, 5 << 2);
  assertEquals(acpi.context.ends, []);
  acpi.chip.write(CONTROL, 1, 5 << 2 | SLP_EN);
  assertEquals(acpi.context.ends, [["power-off", undefined]]);
});

Deno.test("AcpiPm ignores every other sleep type", () => {
  const acpi = new Fixture();
  for (const type of [0, 1, 2, 3, 4, 6, 7]) acpi.chip.write(CONTROL, 1, type << 2 | SLP_EN);
  assertEquals(acpi.context.ends, []);
});

Deno.test("AcpiPm gives the sleep type back, but SLP_EN reads as 0", () => {
  const acpi = new Fixture();
  acpi.chip.write(CONTROL, 1, 3 << 2 | SLP_EN);
  assertEquals(acpi.chip.read(CONTROL, 1), 3 << 2);
  assertEquals(acpi.chip.read(STATUS, 1), 0);
});

Deno.test("AcpiPm resets at the value that the FADT names, and at no other", () => {
  const acpi = new Fixture();
  for (let value = 0; value < 256; value++) {
    if (value !== ACPI_RESET_VALUE) acpi.chip.write(RESET, 1, value);
  }
  assertEquals(acpi.context.ends, []);
  acpi.chip.write(RESET, 1, ACPI_RESET_VALUE);
  assertEquals(acpi.context.ends, [["reset", undefined]]);
});

Deno.test("pressPowerButton() interrupts, and the event is taken by reading it", () => {
  const acpi = new Fixture();
  acpi.press();
  assertEquals(acpi.context.pulses, 1);
  assertEquals(acpi.chip.read(EVENT, 4), ACPI_GED_POWER_BUTTON);
  assertEquals(acpi.chip.read(EVENT, 4), 0);
});

Deno.test("pressPowerButton() twice before the guest looks is one event", () => {
  const acpi = new Fixture();
  acpi.press();
  acpi.press();
  assertEquals(acpi.chip.read(EVENT, 4), ACPI_GED_POWER_BUTTON);
  assertEquals(acpi.chip.read(EVENT, 4), 0);
});

Deno.test("AcpiPm takes only the events of the bytes that were read", () => {
  const acpi = new Fixture();
  acpi.press();
  assertEquals(acpi.chip.read(EVENT + 1, 1), 0);
  assertEquals(acpi.chip.read(EVENT, 1), ACPI_GED_POWER_BUTTON);
});

Deno.test("AcpiPm survives any access of a hostile guest", () => {
  fuzz((random) => {
    const acpi = new Fixture();
    for (let i = 0; i < 20; i++) {
      const size = random.pick([1, 2, 4]);
      if (random.chance(0.2)) acpi.press();
      acpi.chip.write(random.below(12), size, random.hostile32() % 2 ** (8 * size));
      const value = acpi.chip.read(random.below(12), size);
      assert(value >= 0 && value < 2 ** (8 * size));
    }
    assert(acpi.context.ends.every(([request]) => request === "power-off" || request === "reset"));
  });
});
