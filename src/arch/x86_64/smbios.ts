/**
 * SMBIOS (DMTF DSP0134 3.0): what kind of machine this is, and its UUID, as `dmidecode` and `/sys/class/dmi/id` show them.
 *
 * @module
 */

import * as smbios from "../../abi/smbios.ts";
import { ascii } from "../../base/ascii.ts";
import { concat } from "../../base/bytes.ts";
import { sizeof } from "../../base/struct.ts";
import { checksum } from "./checksum.ts";
import { SMBIOS_ADDRESS } from "./layout.ts";
import type { Placement } from "./placement.ts";

/** What the tables say of a machine. */
export interface SmbiosMachine {
  /** In its usual form; null for none. */
  readonly uuid: string | null;
}

const VENDOR = "Vireo";
const PRODUCT = "Vireo microvm";
/** Of these tables, not of Vireo: guests take their machine for another when it changes. Linux wants a year after 2000. */
const VERSION = "1";
const RELEASE_DATE = "01/01/2026";
/** Major and minor release of a firmware that has none (§7.1). */
const NO_RELEASE = 0xff;
const TABLE_ADDRESS = SMBIOS_ADDRESS + 0x20;

/** Entry point and table. */
export function smbiosTables(machine: SmbiosMachine): readonly Placement[] {
  const table = concat([
    bios(),
    system(machine),
    structure(smbios.SMBIOS_TYPE_END, 2, { size: 4 }),
  ]);
  return [
    { address: SMBIOS_ADDRESS, bytes: entryPoint(table.length) },
    { address: TABLE_ADDRESS, bytes: table },
  ];
}

function entryPoint(size: number): Uint8Array {
  const { SmbiosEntryPoint } = smbios;
  const bytes = new Uint8Array(sizeof(SmbiosEntryPoint));
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("_SM3_"), SmbiosEntryPoint.AnchorString);
  view.setUint8(SmbiosEntryPoint.Length, bytes.length);
  view.setUint8(SmbiosEntryPoint.MajorVersion, 3);
  view.setUint8(SmbiosEntryPoint.Revision, 1);
  view.setUint32(SmbiosEntryPoint.MaximumSize, size, true);
  view.setBigUint64(SmbiosEntryPoint.Address, BigInt(TABLE_ADDRESS), true);
  view.setUint8(SmbiosEntryPoint.Checksum, checksum(bytes));
  return bytes;
}

function bios(): Uint8Array {
  const { SmbiosBios } = smbios;
  return structure(smbios.SMBIOS_TYPE_BIOS, 0, {
    size: sizeof(SmbiosBios),
    texts: [[SmbiosBios.Vendor, VENDOR], [SmbiosBios.Version, VERSION], [
      SmbiosBios.ReleaseDate,
      RELEASE_DATE,
    ]],
    fill: (view) => {
      const none = BigInt(smbios.SMBIOS_BIOS_CHARACTERISTICS_NOT_SUPPORTED);
      view.setBigUint64(SmbiosBios.Characteristics, none, true);
      const second = SmbiosBios.CharacteristicsExtension + 1;
      view.setUint8(second, smbios.SMBIOS_BIOS_VIRTUAL_MACHINE);
      for (let at = SmbiosBios.MajorRelease; at < sizeof(SmbiosBios); at++) {
        view.setUint8(at, NO_RELEASE);
      }
    },
  });
}

function system({ uuid }: SmbiosMachine): Uint8Array {
  const { SmbiosSystem } = smbios;
  return structure(smbios.SMBIOS_TYPE_SYSTEM, 1, {
    size: sizeof(SmbiosSystem),
    texts: [[SmbiosSystem.Manufacturer, VENDOR], [SmbiosSystem.ProductName, PRODUCT], [
      SmbiosSystem.Version,
      VERSION,
    ]],
    fill: (view) => {
      uuidBytes(uuid).forEach((byte, i) => view.setUint8(SmbiosSystem.UUID + i, byte));
      view.setUint8(SmbiosSystem.WakeUpType, smbios.SMBIOS_WAKE_UP_POWER_SWITCH);
    },
  });
}

/** The first three groups are numbers, and so little-endian (§7.2.1); none is all zeros. */
function uuidBytes(uuid: string | null): Uint8Array {
  if (uuid === null) return new Uint8Array(16);
  const bytes = Uint8Array.fromHex(uuid.replaceAll("-", ""));
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

/** A structure and behind it its texts, each ending in NUL, with one more NUL after the last; fields hold their numbers. */
function structure(
  type: number,
  handle: number,
  { size, texts = [], fill }: {
    readonly size: number;
    readonly texts?: readonly (readonly [field: number, text: string])[];
    readonly fill?: (view: DataView) => void;
  },
): Uint8Array {
  const { SmbiosHeader } = smbios;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint8(SmbiosHeader.Type, type);
  view.setUint8(SmbiosHeader.Length, size);
  view.setUint16(SmbiosHeader.Handle, handle, true);
  texts.forEach(([field], index) => view.setUint8(field, index + 1));
  fill?.(view);
  const strings = texts.map(([, text]) => ascii(`${text}\0`));
  const end = new Uint8Array(texts.length === 0 ? 2 : 1);
  return concat([bytes, ...strings, end]);
}
