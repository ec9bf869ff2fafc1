/*
 * Structs that no header of Linux' user space has, declared as the specifications' tables have them: the Intel MultiProcessor
 * Specification 1.4, chapter 4, SMBIOS 3.0 (DMTF DSP0134), and what Xen's documentation says of a direct boot (docs/misc/pvh).
 */

#include <stdint.h>

/* MP 4.1: the floating pointer structure. */
struct mp_floating_pointer {
    char signature[4];
    uint32_t physical_address_pointer;
    uint8_t length, spec_rev, checksum, feature_bytes[5];
};

/* MP 4.2: the configuration table's header. */
struct mp_table_header {
    char signature[4];
    uint16_t base_table_length;
    uint8_t spec_rev, checksum;
    char oem_id[8], product_id[12];
    uint32_t oem_table_pointer;
    uint16_t oem_table_size, entry_count;
    uint32_t local_apic_address;
    uint16_t extended_table_length;
    uint8_t extended_table_checksum, reserved;
};

/* MP 4.3.1 to 4.3.5: its entries. */
struct mp_processor {
    uint8_t entry_type, local_apic_id, local_apic_version, cpu_flags;
    uint8_t cpu_signature[4];
    uint32_t feature_flags, reserved[2];
};

struct mp_bus {
    uint8_t entry_type, bus_id;
    char bus_type_string[6];
};

struct mp_io_apic {
    uint8_t entry_type, io_apic_id, io_apic_version, io_apic_flags;
    uint32_t io_apic_address;
};

struct mp_interrupt {
    uint8_t entry_type, interrupt_type;
    uint16_t interrupt_flag;
    uint8_t source_bus_id, source_bus_irq, destination_apic_id, destination_apic_intin;
};

/* PVH: what ebx points to, its modules, and its memory map. */
struct pvh_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    uint32_t memmap_entries, reserved;
};

struct pvh_module {
    uint64_t paddr, size, cmdline_paddr, reserved;
};

struct pvh_memory_range {
    uint64_t addr, size;
    uint32_t type, reserved;
};

#pragma pack(push, 1)

/* SMBIOS 5.2.2: the 64-bit entry point. */
struct smbios_entry_point {
    char anchor_string[5];
    uint8_t checksum, length, major_version, minor_version, docrev, revision, reserved;
    uint32_t maximum_size;
    uint64_t address;
};

/* SMBIOS 6.1.2, 7.1 and 7.2. */
struct smbios_header {
    uint8_t type, length;
    uint16_t handle;
};

struct smbios_bios {
    struct smbios_header header;
    uint8_t vendor, version;
    uint16_t starting_address_segment;
    uint8_t release_date, rom_size;
    uint64_t characteristics;
    uint8_t characteristics_extension[2];
    uint8_t major_release, minor_release, controller_major_release, controller_minor_release;
};

struct smbios_system {
    struct smbios_header header;
    uint8_t manufacturer, product_name, version, serial_number, uuid[16], wake_up_type, sku_number, family;
};

#pragma pack(pop)
