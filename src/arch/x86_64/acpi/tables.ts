/**
 * ACPI tables of the hardware-reduced flavour: RSDP, XSDT, FADT, MADT and DSDT (ACPI 6.5 §5.2).
 *
 * @module
 */

import * as acpi from "../../../abi/acpi.ts";
import { ascii } from "../../../base/ascii.ts";
import { concat } from "../../../base/bytes.ts";
import { VireoError } from "../../../base/errors.ts";
import { sizeof } from "../../../base/struct.ts";
import {
  ACPI_RESET_PORT,
  ACPI_SLEEP_CONTROL_PORT,
  ACPI_SLEEP_STATUS_PORT,
  ACPI_TABLES_ADDRESS,
  ACPI_TABLES_END,
  IOAPIC_ADDRESS,
  LAPIC_ADDRESS,
  RSDP_ADDRESS,
} from "../layout.ts";
import { checksum } from "../checksum.ts";
import type { Placement } from "../placement.ts";
import { dsdtBody } from "./dsdt.ts";
import type { AcpiMachine } from "./machine.ts";

const OEM_ID = "VIREO ";
const CREATOR_ID = "VIRE";
const OEM_REVISION = 1;
const TABLE_ALIGNMENT = 16;
/** Latencies that say there are no C2 and C3 states (ACPI 6.5 §5.2.9). */
const NO_C2 = 0x65;
const NO_C3 = 0x3e9;
/** CMOS register that holds the century. */
const CENTURY_REGISTER = 0x32;
/** APIC ids from here on need an x2APIC entry: 255 is the broadcast. */
const X2APIC_FROM = 255;

/**
 * All tables, placed from the RSDP's address on.
 *
 * @throws VireoError `config` where they don't fit below the MP table
 */
export function acpiTables(machine: AcpiMachine): readonly Placement[] {
  const placements: Placement[] = [];
  let next = ACPI_TABLES_ADDRESS;
  const add = (bytes: Uint8Array): number => {
    const address = next;
    placements.push({ address, bytes });
    next = Math.ceil((address + bytes.length) / TABLE_ALIGNMENT) * TABLE_ALIGNMENT;
    return address;
  };
  const dsdtAddress = add(dsdt(machine));
  const tables = [add(fadt(machine, dsdtAddress)), add(madt(machine))];
  const xsdtAddress = add(xsdt(tables));
  if (next > ACPI_TABLES_END) {
    throw new VireoError(
      "config",
      `Cannot describe ${machine.apicIds.length} vCPUs and ${machine.virtioMmio.length} devices: the ACPI tables ` +
        `take ${next - ACPI_TABLES_ADDRESS} bytes of ${
          ACPI_TABLES_END - ACPI_TABLES_ADDRESS
        }; use fewer vCPUs`,
    );
  }
  placements.push({ address: RSDP_ADDRESS, bytes: rsdp(xsdtAddress) });
  return placements;
}

/** Differentiated system description table. */
export function dsdt(machine: AcpiMachine): Uint8Array {
  return table("DSDT", 2, dsdtBody(machine));
}

/** Fixed ACPI description table: no fixed hardware, but where to sleep and reset. */
export function fadt(machine: AcpiMachine, dsdtAddress: number): Uint8Array {
  const { AcpiFadt } = acpi;
  const body = new Uint8Array(sizeof(AcpiFadt) - sizeof(acpi.AcpiHeader));
  const view = new DataView(body.buffer);
  const at = (offset: number) => offset - sizeof(acpi.AcpiHeader);
  view.setUint16(at(AcpiFadt.P_LVL2_LAT), NO_C2, true);
  view.setUint16(at(AcpiFadt.P_LVL3_LAT), NO_C3, true);
  view.setUint8(at(AcpiFadt.CENTURY), machine.rtc ? CENTURY_REGISTER : 0);
  const noRtc = machine.rtc ? 0 : acpi.ACPI_FADT_NO_CMOS_RTC;
  view.setUint16(at(AcpiFadt.IAPC_BOOT_ARCH), acpi.ACPI_FADT_NO_VGA + noRtc, true);
  view.setUint32(at(AcpiFadt.Flags), FADT_FLAGS, true);
  writePort(view, at(AcpiFadt.RESET_REG), ACPI_RESET_PORT);
  view.setUint8(at(AcpiFadt.RESET_VALUE), acpi.ACPI_RESET_VALUE);
  view.setUint8(at(AcpiFadt.FADT_Minor_Version), 5);
  view.setBigUint64(at(AcpiFadt.X_DSDT), BigInt(dsdtAddress), true);
  writePort(view, at(AcpiFadt.SLEEP_CONTROL_REG), ACPI_SLEEP_CONTROL_PORT);
  writePort(view, at(AcpiFadt.SLEEP_STATUS_REG), ACPI_SLEEP_STATUS_PORT);
  body.set(ascii("VIREO"), at(AcpiFadt.Hypervisor_Vendor_Identity));
  return table("FACP", 6, body);
}

const FADT_FLAGS = acpi.ACPI_FADT_WBINVD + acpi.ACPI_FADT_POWER_BUTTON +
  acpi.ACPI_FADT_SLEEP_BUTTON + acpi.ACPI_FADT_RESET_REGISTER + acpi.ACPI_FADT_HEADLESS +
  acpi.ACPI_FADT_HW_REDUCED;

/** Multiple APIC description table. There is no override of IRQ 0: KVM routes every pin to itself. */
export function madt({ apicIds, cpus: present }: AcpiMachine): Uint8Array {
  const head = new Uint8Array(sizeof(acpi.AcpiMadt) - sizeof(acpi.AcpiHeader));
  new DataView(head.buffer).setUint32(0, LAPIC_ADDRESS, true);
  const cpus = apicIds.map((apicId, uid) => {
    const flags = uid < present ? acpi.ACPI_MADT_ENABLED : acpi.ACPI_MADT_ONLINE_CAPABLE;
    const cpu = { apicId, uid, flags };
    return apicId < X2APIC_FROM ? localApic(cpu) : localX2apic(cpu);
  });
  return table("APIC", 5, concat([head, ...cpus, ioApic()]));
}

interface MadtCpu {
  readonly apicId: number;
  readonly uid: number;
  readonly flags: number;
}

function localApic({ apicId, uid, flags }: MadtCpu): Uint8Array {
  const { AcpiMadtLapic } = acpi;
  const bytes = new Uint8Array(sizeof(AcpiMadtLapic));
  const view = new DataView(bytes.buffer);
  view.setUint8(AcpiMadtLapic.Type, acpi.ACPI_MADT_TYPE_LOCAL_APIC);
  view.setUint8(AcpiMadtLapic.Length, bytes.length);
  view.setUint8(AcpiMadtLapic.ACPIProcessorUID, uid);
  view.setUint8(AcpiMadtLapic.APICID, apicId);
  view.setUint32(AcpiMadtLapic.Flags, flags, true);
  return bytes;
}

function localX2apic({ apicId, uid, flags }: MadtCpu): Uint8Array {
  const { AcpiMadtX2apic } = acpi;
  const bytes = new Uint8Array(sizeof(AcpiMadtX2apic));
  const view = new DataView(bytes.buffer);
  view.setUint8(AcpiMadtX2apic.Type, acpi.ACPI_MADT_TYPE_LOCAL_X2APIC);
  view.setUint8(AcpiMadtX2apic.Length, bytes.length);
  view.setUint32(AcpiMadtX2apic.X2APICID, apicId, true);
  view.setUint32(AcpiMadtX2apic.Flags, flags, true);
  view.setUint32(AcpiMadtX2apic.ACPIProcessorUID, uid, true);
  return bytes;
}

function ioApic(): Uint8Array {
  const { AcpiMadtIoapic } = acpi;
  const bytes = new Uint8Array(sizeof(AcpiMadtIoapic));
  const view = new DataView(bytes.buffer);
  view.setUint8(AcpiMadtIoapic.Type, acpi.ACPI_MADT_TYPE_IO_APIC);
  view.setUint8(AcpiMadtIoapic.Length, bytes.length);
  view.setUint32(AcpiMadtIoapic.IOAPICAddress, IOAPIC_ADDRESS, true);
  return bytes;
}

/** Extended system description table: addresses of the others. */
function xsdt(addresses: readonly number[]): Uint8Array {
  const body = new BigUint64Array(addresses.map(BigInt));
  return table("XSDT", 1, new Uint8Array(body.buffer));
}

/** Root system description pointer, revision 2. */
function rsdp(xsdtAddress: number): Uint8Array {
  const { AcpiRsdp } = acpi;
  const bytes = new Uint8Array(sizeof(AcpiRsdp));
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("RSD PTR "), AcpiRsdp.Signature);
  bytes.set(ascii(OEM_ID), AcpiRsdp.OEMID);
  view.setUint8(AcpiRsdp.Revision, 2);
  view.setUint32(AcpiRsdp.Length, bytes.length, true);
  view.setBigUint64(AcpiRsdp.XsdtAddress, BigInt(xsdtAddress), true);
  view.setUint8(AcpiRsdp.Checksum, checksum(bytes.subarray(0, AcpiRsdp.Length)));
  view.setUint8(AcpiRsdp.ExtendedChecksum, checksum(bytes));
  return bytes;
}

/** A table of header and body. */
function table(signature: string, revision: number, body: ArrayLike<number>): Uint8Array {
  const { AcpiHeader } = acpi;
  const bytes = new Uint8Array(sizeof(AcpiHeader) + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii(signature), AcpiHeader.Signature);
  view.setUint32(AcpiHeader.Length, bytes.length, true);
  view.setUint8(AcpiHeader.Revision, revision);
  bytes.set(ascii(OEM_ID), AcpiHeader.OEMID);
  bytes.set(ascii(`VIREO${signature}`.slice(0, 8)), AcpiHeader.OEMTableID);
  view.setUint32(AcpiHeader.OEMRevision, OEM_REVISION, true);
  bytes.set(ascii(CREATOR_ID), AcpiHeader.CreatorID);
  view.setUint32(AcpiHeader.CreatorRevision, OEM_REVISION, true);
  bytes.set(body, sizeof(AcpiHeader));
  view.setUint8(AcpiHeader.Checksum, checksum(bytes));
  return bytes;
}

/** A generic address of an 8-bit register at a port. */
function writePort(view: DataView, at: number, port: number): void {
  const { AcpiGas } = acpi;
  view.setUint8(at + AcpiGas.AddressSpaceID, acpi.ACPI_ADR_SPACE_SYSTEM_IO);
  view.setUint8(at + AcpiGas.RegisterBitWidth, 8);
  view.setUint8(at + AcpiGas.AccessSize, acpi.ACPI_ACCESS_BYTE);
  view.setBigUint64(at + AcpiGas.Address, BigInt(port), true);
}
