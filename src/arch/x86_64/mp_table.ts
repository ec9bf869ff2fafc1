/**
 * The MP table (Intel MultiProcessor Specification 1.4): how a kernel without ACPI finds its processors and interrupts.
 *
 * @module
 */

import * as mp from "../../abi/mp.ts";
import { ascii } from "../../base/ascii.ts";
import { VireoError } from "../../base/errors.ts";
import { sizeof } from "../../base/struct.ts";
import { checksum } from "./checksum.ts";
import {
  EBDA_ADDRESS,
  IOAPIC_ADDRESS,
  IOAPIC_PINS,
  LAPIC_ADDRESS,
  MP_TABLE_ADDRESS,
} from "./layout.ts";
import type { Placement } from "./placement.ts";

/** APIC ids are 8 bits wide, 255 is the broadcast, and the IOAPIC needs one of its own. */
export const MP_MAX_CPUS = 254;

const SPECIFICATION = 4;
const PARAGRAPH = 16;
const LAPIC_VERSION = 0x14;
const IOAPIC_VERSION = 0x11;
const ISA_BUS = 0;
const EVERY_LAPIC = 0xff;
/** A Pentium Pro or later, with FPU and local APIC; kernels ask CPUID for the rest. */
const CPU_SIGNATURE = 0x600;
const CPU_FEATURES = 0x201;

/** An entry of the configuration table: all are written into one array, since small arrays are dear in a program that just started. */
interface Entry {
  readonly size: number;
  write(view: DataView, at: number): void;
}

/** Whether the table holds processors of these APIC ids, and the IOAPIC behind them. */
export function fitsMpTable(apicIds: readonly number[]): boolean {
  return apicIds.length <= MP_MAX_CPUS && Math.max(...apicIds) + 1 < EVERY_LAPIC;
}

/**
 * Floating pointer and configuration table.
 *
 * @param apicIds by vCPU index, at most {@linkcode MP_MAX_CPUS} and none above 253
 * @throws VireoError `config` where the format cannot express that
 */
export function mpTable(apicIds: readonly number[]): readonly Placement[] {
  const ioapicId = Math.max(...apicIds) + 1;
  if (!fitsMpTable(apicIds)) {
    throw new VireoError(
      "config",
      `Cannot describe ${apicIds.length} vCPUs with APIC ids up to ${
        ioapicId - 1
      } in an MP table: it holds ` +
        `${MP_MAX_CPUS} with ids up to ${MP_MAX_CPUS - 1}; use fewer vCPUs, or boot with ACPI`,
    );
  }
  const entries = [
    ...apicIds.map(processor),
    isaBus,
    ioapic(ioapicId),
    ...Array.from(
      { length: IOAPIC_PINS },
      (_, pin) =>
        interrupt(mp.MP_INTSRC, { irqtype: mp.mp_INT, source: pin, target: ioapicId, pin }),
    ),
    interrupt(mp.MP_LINTSRC, { irqtype: mp.mp_ExtINT, source: 0, target: 0, pin: 0 }),
    interrupt(mp.MP_LINTSRC, { irqtype: mp.mp_NMI, source: 0, target: EVERY_LAPIC, pin: 1 }),
  ];
  return [
    { address: EBDA_ADDRESS, bytes: floatingPointer() },
    { address: MP_TABLE_ADDRESS, bytes: configurationTable(entries) },
  ];
}

function floatingPointer(): Uint8Array {
  const bytes = new Uint8Array(sizeof(mp.mpf_intel));
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("_MP_"), mp.mpf_intel.signature);
  view.setUint32(mp.mpf_intel.physptr, MP_TABLE_ADDRESS, true);
  view.setUint8(mp.mpf_intel.length, bytes.length / PARAGRAPH);
  view.setUint8(mp.mpf_intel.specification, SPECIFICATION);
  view.setUint8(mp.mpf_intel.checksum, checksum(bytes));
  return bytes;
}

function configurationTable(entries: readonly Entry[]): Uint8Array {
  const size = entries.reduce((sum, entry) => sum + entry.size, sizeof(mp.mpc_table));
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("PCMP"), mp.mpc_table.signature);
  view.setUint16(mp.mpc_table.length, size, true);
  view.setUint8(mp.mpc_table.spec, SPECIFICATION);
  bytes.set(ascii("VIREO".padEnd(8)), mp.mpc_table.oem);
  bytes.set(ascii("VIREO".padEnd(12)), mp.mpc_table.productid);
  view.setUint16(mp.mpc_table.oemcount, entries.length, true);
  view.setUint32(mp.mpc_table.lapic, LAPIC_ADDRESS, true);
  let at = sizeof(mp.mpc_table);
  for (const entry of entries) {
    entry.write(view, at);
    at += entry.size;
  }
  view.setUint8(mp.mpc_table.checksum, checksum(bytes));
  return bytes;
}

function processor(apicId: number, index: number): Entry {
  const flags = mp.CPU_ENABLED + (index === 0 ? mp.CPU_BOOTPROCESSOR : 0);
  return {
    size: sizeof(mp.mpc_cpu),
    write(view, at) {
      view.setUint8(at + mp.mpc_cpu.type, mp.MP_PROCESSOR);
      view.setUint8(at + mp.mpc_cpu.apicid, apicId);
      view.setUint8(at + mp.mpc_cpu.apicver, LAPIC_VERSION);
      view.setUint8(at + mp.mpc_cpu.cpuflag, flags);
      view.setUint32(at + mp.mpc_cpu.cpufeature, CPU_SIGNATURE, true);
      view.setUint32(at + mp.mpc_cpu.featureflag, CPU_FEATURES, true);
    },
  };
}

const isaBus: Entry = {
  size: sizeof(mp.mpc_bus),
  write(view, at) {
    view.setUint8(at + mp.mpc_bus.type, mp.MP_BUS);
    view.setUint8(at + mp.mpc_bus.busid, ISA_BUS);
    ascii("ISA   ").forEach((byte, i) => view.setUint8(at + mp.mpc_bus.bustype + i, byte));
  },
};

function ioapic(id: number): Entry {
  return {
    size: sizeof(mp.mpc_ioapic),
    write(view, at) {
      view.setUint8(at + mp.mpc_ioapic.type, mp.MP_IOAPIC);
      view.setUint8(at + mp.mpc_ioapic.apicid, id);
      view.setUint8(at + mp.mpc_ioapic.apicver, IOAPIC_VERSION);
      view.setUint8(at + mp.mpc_ioapic.flags, mp.MPC_APIC_USABLE);
      view.setUint32(at + mp.mpc_ioapic.apicaddr, IOAPIC_ADDRESS, true);
    },
  };
}

/** An interrupt of the ISA bus. All are edge triggered: that is what irqfds are. */
function interrupt(type: number, route: {
  readonly irqtype: number;
  readonly source: number;
  readonly target: number;
  readonly pin: number;
}): Entry {
  return {
    size: sizeof(mp.mpc_intsrc),
    write(view, at) {
      view.setUint8(at + mp.mpc_intsrc.type, type);
      view.setUint8(at + mp.mpc_intsrc.irqtype, route.irqtype);
      view.setUint16(at + mp.mpc_intsrc.irqflag, mp.MP_IRQ_EDGE_HIGH, true);
      view.setUint8(at + mp.mpc_intsrc.srcbus, ISA_BUS);
      view.setUint8(at + mp.mpc_intsrc.srcbusirq, route.source);
      view.setUint8(at + mp.mpc_intsrc.dstapic, route.target);
      view.setUint8(at + mp.mpc_intsrc.dstirq, route.pin);
    },
  };
}
