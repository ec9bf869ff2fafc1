/**
 * ACPI's fixed tables (ACPI 6.5 §5.2) and what our tables promise of the hardware. Fields keep the specification's names.
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** Value that resets the machine when it is written to the reset register. */
export const ACPI_RESET_VALUE = 1;
/** SLP_TYP of S5, soft off: what `\_S5` says. */
export const ACPI_S5_SLEEP_TYPE = 5;
/** Event selector: the power button was pressed. */
export const ACPI_GED_POWER_BUTTON = 1;

/** Root system description pointer (§5.2.5.3). */
export const AcpiRsdp = struct({
  Signature: ["u8", 8],
  Checksum: "u8",
  OEMID: ["u8", 6],
  Revision: "u8",
  RsdtAddress: "u32",
  Length: "u32",
  XsdtAddress: "u64",
  ExtendedChecksum: "u8",
  Reserved: ["u8", 3],
}, { packed: true });

/** The header of every table but the RSDP (§5.2.6). */
export const AcpiHeader = struct({
  Signature: ["u8", 4],
  Length: "u32",
  Revision: "u8",
  Checksum: "u8",
  OEMID: ["u8", 6],
  OEMTableID: ["u8", 8],
  OEMRevision: "u32",
  CreatorID: ["u8", 4],
  CreatorRevision: "u32",
}, { packed: true });

/** Generic address structure (§5.2.3.2). */
export const AcpiGas = struct({
  AddressSpaceID: "u8",
  RegisterBitWidth: "u8",
  RegisterBitOffset: "u8",
  AccessSize: "u8",
  Address: "u64",
}, { packed: true });

/** Fixed ACPI description table, revision 6 (§5.2.9). */
export const AcpiFadt = struct({
  Header: AcpiHeader,
  FIRMWARE_CTRL: "u32",
  DSDT: "u32",
  Reserved: "u8",
  Preferred_PM_Profile: "u8",
  SCI_INT: "u16",
  SMI_CMD: "u32",
  ACPI_ENABLE: "u8",
  ACPI_DISABLE: "u8",
  S4BIOS_REQ: "u8",
  PSTATE_CNT: "u8",
  PM1a_EVT_BLK: "u32",
  PM1b_EVT_BLK: "u32",
  PM1a_CNT_BLK: "u32",
  PM1b_CNT_BLK: "u32",
  PM2_CNT_BLK: "u32",
  PM_TMR_BLK: "u32",
  GPE0_BLK: "u32",
  GPE1_BLK: "u32",
  PM1_EVT_LEN: "u8",
  PM1_CNT_LEN: "u8",
  PM2_CNT_LEN: "u8",
  PM_TMR_LEN: "u8",
  GPE0_BLK_LEN: "u8",
  GPE1_BLK_LEN: "u8",
  GPE1_BASE: "u8",
  CST_CNT: "u8",
  P_LVL2_LAT: "u16",
  P_LVL3_LAT: "u16",
  FLUSH_SIZE: "u16",
  FLUSH_STRIDE: "u16",
  DUTY_OFFSET: "u8",
  DUTY_WIDTH: "u8",
  DAY_ALRM: "u8",
  MON_ALRM: "u8",
  CENTURY: "u8",
  IAPC_BOOT_ARCH: "u16",
  Reserved2: "u8",
  Flags: "u32",
  RESET_REG: AcpiGas,
  RESET_VALUE: "u8",
  ARM_BOOT_ARCH: "u16",
  FADT_Minor_Version: "u8",
  X_FIRMWARE_CTRL: "u64",
  X_DSDT: "u64",
  X_PM1a_EVT_BLK: AcpiGas,
  X_PM1b_EVT_BLK: AcpiGas,
  X_PM1a_CNT_BLK: AcpiGas,
  X_PM1b_CNT_BLK: AcpiGas,
  X_PM2_CNT_BLK: AcpiGas,
  X_PM_TMR_BLK: AcpiGas,
  X_GPE0_BLK: AcpiGas,
  X_GPE1_BLK: AcpiGas,
  SLEEP_CONTROL_REG: AcpiGas,
  SLEEP_STATUS_REG: AcpiGas,
  Hypervisor_Vendor_Identity: ["u8", 8],
}, { packed: true });

/** Multiple APIC description table, up to its list of structures (§5.2.12). */
export const AcpiMadt = struct({
  Header: AcpiHeader,
  LocalInterruptControllerAddress: "u32",
  Flags: "u32",
}, { packed: true });

/** Processor local APIC (§5.2.12.2). */
export const AcpiMadtLapic = struct({
  Type: "u8",
  Length: "u8",
  ACPIProcessorUID: "u8",
  APICID: "u8",
  Flags: "u32",
}, { packed: true });

/** Processor local x2APIC, for APIC ids from 255 up (§5.2.12.12). */
export const AcpiMadtX2apic = struct({
  Type: "u8",
  Length: "u8",
  Reserved: "u16",
  X2APICID: "u32",
  Flags: "u32",
  ACPIProcessorUID: "u32",
}, { packed: true });

/** I/O APIC (§5.2.12.3). */
export const AcpiMadtIoapic = struct({
  Type: "u8",
  Length: "u8",
  IOAPICID: "u8",
  Reserved: "u8",
  IOAPICAddress: "u32",
  GlobalSystemInterruptBase: "u32",
}, { packed: true });

/** MADT structure types. */
export const ACPI_MADT_TYPE_LOCAL_APIC = 0;
/** MADT structure type of an I/O APIC. */
export const ACPI_MADT_TYPE_IO_APIC = 1;
/** MADT structure type of an x2APIC. */
export const ACPI_MADT_TYPE_LOCAL_X2APIC = 9;
/** MADT: this processor can be used. */
export const ACPI_MADT_ENABLED = 1;
/** The processor is not there and may come (ACPI 6.3 on). */
export const ACPI_MADT_ONLINE_CAPABLE = 2;

/** Address space of a generic address: I/O ports. */
export const ACPI_ADR_SPACE_SYSTEM_IO = 1;
/** Access size of a generic address: bytes. */
export const ACPI_ACCESS_BYTE = 1;

/** FADT boot flags: there is no VGA; Linux then leaves its memory and ports alone. */
export const ACPI_FADT_NO_VGA = 1 << 2;
/** FADT boot flags: there is no CMOS clock. Without the flag for an 8042 (bit 1), Linux does not probe for one. */
export const ACPI_FADT_NO_CMOS_RTC = 1 << 5;

/** FADT flags: WBINVD works. */
export const ACPI_FADT_WBINVD = 1 << 0;
/** FADT flags: the power button is a device in the namespace. */
export const ACPI_FADT_POWER_BUTTON = 1 << 4;
/** FADT flags: there is no sleep button in fixed hardware. */
export const ACPI_FADT_SLEEP_BUTTON = 1 << 5;
/** FADT flags: the reset register is there. */
export const ACPI_FADT_RESET_REGISTER = 1 << 10;
/** FADT flags: no screen, keyboard or mouse. */
export const ACPI_FADT_HEADLESS = 1 << 12;
/** FADT flags: hardware-reduced ACPI, no fixed hardware at all. */
export const ACPI_FADT_HW_REDUCED = 1 << 20;
