/**
 * SMBIOS 3.0 (DMTF DSP0134): the entry point and the structures that a machine is described by. Fields keep the specification's names.
 *
 * @module
 */

import { struct } from "../base/struct.ts";

/** Structure types (§7). */
export const SMBIOS_TYPE_BIOS = 0;
export const SMBIOS_TYPE_SYSTEM = 1;
export const SMBIOS_TYPE_END = 127;

/** BIOS characteristics: none are told (§7.1.1, bit 3). */
export const SMBIOS_BIOS_CHARACTERISTICS_NOT_SUPPORTED = 8;
/** BIOS characteristics, second extension byte: this is a virtual machine (§7.1.2.2, bit 4). */
export const SMBIOS_BIOS_VIRTUAL_MACHINE = 0x10;
/** The system was woken by its power switch (§7.2.2). */
export const SMBIOS_WAKE_UP_POWER_SWITCH = 6;

/** The 64-bit entry point (§5.2.2). */
export const SmbiosEntryPoint = struct({
  AnchorString: ["u8", 5],
  Checksum: "u8",
  Length: "u8",
  MajorVersion: "u8",
  MinorVersion: "u8",
  Docrev: "u8",
  Revision: "u8",
  Reserved: "u8",
  MaximumSize: "u32",
  Address: "u64",
}, { packed: true });

/** The head of every structure (§6.1.2). */
export const SmbiosHeader = struct({ Type: "u8", Length: "u8", Handle: "u16" }, { packed: true });

/** Platform firmware (§7.1), as of version 2.4. */
export const SmbiosBios = struct({
  Header: SmbiosHeader,
  Vendor: "u8",
  Version: "u8",
  StartingAddressSegment: "u16",
  ReleaseDate: "u8",
  RomSize: "u8",
  Characteristics: "u64",
  CharacteristicsExtension: ["u8", 2],
  MajorRelease: "u8",
  MinorRelease: "u8",
  ControllerMajorRelease: "u8",
  ControllerMinorRelease: "u8",
}, { packed: true });

/** The system (§7.2), as of version 2.4. */
export const SmbiosSystem = struct({
  Header: SmbiosHeader,
  Manufacturer: "u8",
  ProductName: "u8",
  Version: "u8",
  SerialNumber: "u8",
  UUID: ["u8", 16],
  WakeUpType: "u8",
  SKUNumber: "u8",
  Family: "u8",
}, { packed: true });
