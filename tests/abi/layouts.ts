/**
 * Our layouts of virtio's, the boot protocol's and firmware's structs beside their C names. Those of KVM and Linux are in kvm_layouts.ts.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import * as boot from "../../src/abi/boot.ts";
import * as elf from "../../src/abi/elf.ts";
import * as mp from "../../src/abi/mp.ts";
import * as pvh from "../../src/abi/pvh.ts";
import * as smbios from "../../src/abi/smbios.ts";
import * as virtio from "../../src/abi/virtio.ts";
import * as devices from "../../src/abi/virtio_devices.ts";
import type { LayoutPair } from "../support/c_layout.ts";

/** Structs of virtio's headers. */
export const VIRTIO_PAIRS: readonly LayoutPair[] = [
  { c: "struct vring_desc", layout: virtio.VringDesc },
  { c: "struct vring_avail", layout: virtio.VringAvail },
  { c: "struct vring_used_elem", layout: virtio.VringUsedElem },
  { c: "struct vring_used", layout: virtio.VringUsed },
  {
    c: "struct virtio_blk_config",
    layout: devices.VirtioBlkConfig,
    renamed: {
      cylinders: "geometry.cylinders",
      heads: "geometry.heads",
      sectors: "geometry.sectors",
    },
  },
  { c: "struct virtio_blk_outhdr", layout: devices.VirtioBlkOuthdr },
  {
    c: "struct virtio_blk_discard_write_zeroes",
    layout: devices.VirtioBlkDiscardWriteZeroes,
  },
  { c: "struct virtio_console_config", layout: devices.VirtioConsoleConfig },
  { c: "struct virtio_console_control", layout: devices.VirtioConsoleControl },
];

/** Where the structs above are. */
export const VIRTIO_HEADERS = [
  "linux/virtio_ids.h",
  "linux/virtio_config.h",
  "linux/virtio_ring.h",
  "linux/virtio_mmio.h",
  "linux/virtio_blk.h",
  "linux/virtio_console.h",
];

/** Structs of the boot protocol and of ELF files. */
export const BOOT_PAIRS: readonly LayoutPair[] = [
  { c: "struct setup_header", layout: boot.setup_header },
  { c: "struct boot_e820_entry", layout: boot.boot_e820_entry },
  { c: "struct boot_params", layout: boot.boot_params },
  { c: "Elf64_Ehdr", layout: elf.Elf64_Ehdr },
  { c: "Elf64_Phdr", layout: elf.Elf64_Phdr },
  { c: "Elf64_Shdr", layout: elf.Elf64_Shdr },
  { c: "Elf64_Nhdr", layout: elf.Elf64_Nhdr },
];

/** Where the structs above are. */
export const BOOT_HEADERS = ["asm/bootparam.h", "elf.h"];

/** Structs of the MP specification, whose tables have other names than Linux, of PVH and of SMBIOS. */
export const FIRMWARE_PAIRS: readonly LayoutPair[] = [
  {
    c: "struct mp_floating_pointer",
    layout: mp.mpf_intel,
    renamed: {
      physptr: "physical_address_pointer",
      specification: "spec_rev",
      feature1: "feature_bytes[0]",
      feature2: "feature_bytes[1]",
      feature3: "feature_bytes[2]",
      feature4: "feature_bytes[3]",
      feature5: "feature_bytes[4]",
    },
  },
  {
    c: "struct mp_table_header",
    layout: mp.mpc_table,
    renamed: {
      length: "base_table_length",
      spec: "spec_rev",
      oem: "oem_id",
      productid: "product_id",
      oemptr: "oem_table_pointer",
      oemsize: "oem_table_size",
      oemcount: "entry_count",
      lapic: "local_apic_address",
      reserved: "extended_table_length",
    },
  },
  {
    c: "struct mp_processor",
    layout: mp.mpc_cpu,
    renamed: {
      type: "entry_type",
      apicid: "local_apic_id",
      apicver: "local_apic_version",
      cpuflag: "cpu_flags",
      cpufeature: "cpu_signature",
      featureflag: "feature_flags",
    },
  },
  {
    c: "struct mp_bus",
    layout: mp.mpc_bus,
    renamed: { type: "entry_type", busid: "bus_id", bustype: "bus_type_string" },
  },
  {
    c: "struct mp_io_apic",
    layout: mp.mpc_ioapic,
    renamed: {
      type: "entry_type",
      apicid: "io_apic_id",
      apicver: "io_apic_version",
      flags: "io_apic_flags",
      apicaddr: "io_apic_address",
    },
  },
  {
    c: "struct mp_interrupt",
    layout: mp.mpc_intsrc,
    renamed: {
      type: "entry_type",
      irqtype: "interrupt_type",
      irqflag: "interrupt_flag",
      srcbus: "source_bus_id",
      srcbusirq: "source_bus_irq",
      dstapic: "destination_apic_id",
      dstirq: "destination_apic_intin",
    },
  },
  { c: "struct pvh_start_info", layout: pvh.hvm_start_info },
  { c: "struct pvh_module", layout: pvh.hvm_modlist_entry },
  { c: "struct pvh_memory_range", layout: pvh.hvm_memmap_table_entry },
  { c: "struct smbios_entry_point", layout: smbios.SmbiosEntryPoint },
  { c: "struct smbios_header", layout: smbios.SmbiosHeader },
  { c: "struct smbios_bios", layout: smbios.SmbiosBios },
  { c: "struct smbios_system", layout: smbios.SmbiosSystem },
].map((pair) => ({ ...pair, renamed: snakeCase(pair) }));

/** Where the structs above are declared. */
export const FIRMWARE_HEADERS = [fromFileUrl(new URL("firmware.h", import.meta.url))];

/** SMBIOS' names as C has them, beside what was renamed. */
function snakeCase({ layout, renamed = {} }: LayoutPair): Record<string, string | null> {
  const snake = (name: string) =>
    name.replaceAll(/(?<=[a-z])([A-Z])/g, "_$1").replace("SKUN", "sku_n").toLowerCase();
  const names = Object.keys(layout).map((name): [string, string] => [name, snake(name)]);
  return { ...Object.fromEntries(names), ...renamed };
}
