/**
 * Intel MultiProcessor Specification 1.4, chapter 4. Fields are named as in Linux' `asm/mpspec_def.h`.
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** `struct mpf_intel`: the floating pointer (§4.1). */
export const mpf_intel = struct({
  signature: ["u8", 4],
  physptr: "u32",
  length: "u8",
  specification: "u8",
  checksum: "u8",
  feature1: "u8",
  feature2: "u8",
  feature3: "u8",
  feature4: "u8",
  feature5: "u8",
});

/** `struct mpc_table`: header of the configuration table (§4.2). */
export const mpc_table = struct({
  signature: ["u8", 4],
  length: "u16",
  spec: "u8",
  checksum: "u8",
  oem: ["u8", 8],
  productid: ["u8", 12],
  oemptr: "u32",
  oemsize: "u16",
  oemcount: "u16",
  lapic: "u32",
  reserved: "u32",
});

/** `struct mpc_cpu`: a processor (§4.3.1). */
export const mpc_cpu = struct({
  type: "u8",
  apicid: "u8",
  apicver: "u8",
  cpuflag: "u8",
  cpufeature: "u32",
  featureflag: "u32",
  reserved: ["u32", 2],
});

/** `struct mpc_bus`: a bus (§4.3.2). */
export const mpc_bus = struct({ type: "u8", busid: "u8", bustype: ["u8", 6] });

/** `struct mpc_ioapic`: an I/O APIC (§4.3.3). */
export const mpc_ioapic = struct({
  type: "u8",
  apicid: "u8",
  apicver: "u8",
  flags: "u8",
  apicaddr: "u32",
});

/** `struct mpc_intsrc` and `struct mpc_lintsrc`: where an interrupt goes (§4.3.4, §4.3.5). */
export const mpc_intsrc = struct({
  type: "u8",
  irqtype: "u8",
  irqflag: "u16",
  srcbus: "u8",
  srcbusirq: "u8",
  dstapic: "u8",
  dstirq: "u8",
});

/** Entry types. */
export const MP_PROCESSOR = 0;
/** Entry type of a bus. */
export const MP_BUS = 1;
/** Entry type of an I/O APIC. */
export const MP_IOAPIC = 2;
/** Entry type of an interrupt at an I/O APIC. */
export const MP_INTSRC = 3;
/** Entry type of an interrupt at the local APICs. */
export const MP_LINTSRC = 4;

/** `cpuflag`: this processor can be used. */
export const CPU_ENABLED = 1;
/** `cpuflag`: this is the one that boots. */
export const CPU_BOOTPROCESSOR = 2;
/** `mpc_ioapic.flags`: it can be used. */
export const MPC_APIC_USABLE = 1;
/** `irqflag`: active high and edge triggered. */
export const MP_IRQ_EDGE_HIGH = 5;
/** `irqtype`: a vectored interrupt. */
export const mp_INT = 0;
/** `irqtype`: a non-maskable interrupt. */
export const mp_NMI = 1;
/** `irqtype`: the vector comes from the 8259. */
export const mp_ExtINT = 3;
