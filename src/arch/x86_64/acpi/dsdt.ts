/**
 * The DSDT's definition block: the devices that a kernel cannot find by probing.
 *
 * @module
 */

import { ACPI_GED_POWER_BUTTON, ACPI_S5_SLEEP_TYPE } from "../../../abi/acpi.ts";
import {
  ACPI_GED_GSI,
  ACPI_GED_PORT,
  COM1_GSI,
  COM1_PORT,
  PVPANIC_PORT,
  RTC_GSI,
  RTC_PORT,
} from "../layout.ts";
import * as aml from "./aml.ts";
import type { Aml } from "./aml.ts";
import type { AcpiMachine, MmioDevice } from "./machine.ts";

/** Notification of a power button: it was pressed (ACPI 6.5 §5.6.6). */
const BUTTON_PRESSED = 0x80;

/** Everything below `_SB`, and the sleep state S5, both at the root. */
export function dsdtBody(machine: AcpiMachine): Aml {
  const s5 = [ACPI_S5_SLEEP_TYPE, 0, 0, 0].map(aml.integer);
  return aml.concat(
    aml.scope(
      "_SB",
      ...machine.apicIds.map((_, uid) => processor(uid, uid < machine.cpus)),
      ...(machine.com1 ? [com1()] : []),
      ...(machine.rtc ? [rtc()] : []),
      ...(machine.pvpanic ? [pvpanic()] : []),
      ...machine.virtioMmio.map(virtioMmio),
      powerButton(),
      eventDevice(),
    ),
    aml.name("_S5", aml.packageOf(...s5)),
  );
}

/** One that is not there says so, or the kernel would look for what it cannot find. */
function processor(uid: number, isThere: boolean): Aml {
  return aml.device(
    `C${uid.toString(16).toUpperCase().padStart(3, "0")}`,
    aml.name("_HID", aml.string("ACPI0007")),
    aml.name("_UID", aml.integer(uid)),
    ...(isThere ? [] : [aml.name("_STA", aml.integer(0))]),
  );
}

function com1(): Aml {
  return aml.device(
    "COM1",
    aml.name("_HID", aml.eisaId("PNP0501")),
    aml.name("_UID", aml.integer(0)),
    resources(aml.ioPorts(COM1_PORT, 8), aml.edgeInterrupt(COM1_GSI)),
  );
}

function rtc(): Aml {
  return aml.device(
    "RTC",
    aml.name("_HID", aml.eisaId("PNP0B00")),
    resources(aml.ioPorts(RTC_PORT, 2), aml.edgeInterrupt(RTC_GSI)),
  );
}

function pvpanic(): Aml {
  return aml.device(
    "PEVT",
    aml.name("_HID", aml.string("QEMU0001")),
    resources(aml.ioPorts(PVPANIC_PORT, 1)),
  );
}

/** Linux binds its virtio-mmio driver to LNRO0005. */
function virtioMmio({ address, size, gsi }: MmioDevice, uid: number): Aml {
  return aml.device(
    `VR${uid.toString(16).toUpperCase().padStart(2, "0")}`,
    aml.name("_HID", aml.string("LNRO0005")),
    aml.name("_UID", aml.integer(uid)),
    resources(aml.memory32Fixed(address, size), aml.edgeInterrupt(gsi)),
  );
}

function powerButton(): Aml {
  return aml.device("PWRB", aml.name("_HID", aml.eisaId("PNP0C0C")));
}

/** Generic event device: its interrupt runs _EVT, which reads and thereby clears what has happened. */
function eventDevice(): Aml {
  const pressed = aml.and(aml.LOCAL0, aml.integer(ACPI_GED_POWER_BUTTON));
  return aml.device(
    "GED",
    aml.name("_HID", aml.string("ACPI0013")),
    aml.name("_UID", aml.integer(0)),
    resources(aml.edgeInterrupt(ACPI_GED_GSI)),
    aml.operationRegion("EVTR", { space: aml.SYSTEM_IO, offset: ACPI_GED_PORT, length: 4 }),
    aml.field("EVTR", { ESEL: 32 }),
    aml.method(
      "_EVT",
      1,
      aml.store(aml.nameSegment("ESEL"), aml.LOCAL0),
      aml.ifTrue(pressed, aml.notify("PWRB", BUTTON_PRESSED)),
    ),
  );
}

function resources(...descriptors: readonly Aml[]): Aml {
  return aml.name("_CRS", aml.resourceTemplate(...descriptors));
}
