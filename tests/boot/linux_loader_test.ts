import { assert, assertEquals, assertThrows } from "@std/assert";
import { boot_params, setup_header } from "../../src/abi/boot.ts";
import { hvm_start_info } from "../../src/abi/pvh.ts";
import { checkGuestState } from "../../src/arch/x86_64/guest_state.ts";
import { splitRam } from "../../src/arch/x86_64/layout.ts";
import { place } from "../../src/arch/x86_64/placement.ts";
import { VireoError } from "../../src/base/errors.ts";
import { type BzImage, parseBzImage } from "../../src/boot/bzimage.ts";
import { type ElfKernel, parseElfKernel } from "../../src/boot/elf_kernel.ts";
import { KernelError } from "../../src/boot/kernel_error.ts";
import { MemoryFile } from "../../src/boot/kernel_file.ts";
import { kernelRanges, type LinuxOptions, planLinux } from "../../src/boot/linux_loader.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { elfImage, type ElfOptions, pvhNotes, SEGMENTS } from "./elf_image.ts";
import { type ImageOptions, kernelImage } from "./kernel_image.ts";

const MIB = 2 ** 20;
const NOTHING = { offset: 0, length: 0, address: 0 };
const OPTIONS: LinuxOptions = { ram: splitRam(64 * MIB), commandLine: "console=ttyS0" };

function image(options: ImageOptions = {}): BzImage {
  const file = kernelImage(options);
  return parseBzImage(file, file.length, "vmlinuz");
}

function ram(size: number): GuestMemory {
  return GuestMemory.onBuffers([{ guestAddress: 0, buffer: new ArrayBuffer(size) }]);
}

function readBytes(memory: GuestMemory, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  memory.read(address, bytes);
  return bytes;
}

Deno.test("planLinux() puts kernel, initrd and command line where the zero page says", () => {
  const memory = ram(64 * MIB);
  const kernel = kernelImage();
  const initrd = crypto.getRandomValues(new Uint8Array(5000));
  const options = { ...OPTIONS, initrdSize: initrd.length, rsdpAddress: 0xe0000 };
  const file = parseBzImage(kernel, kernel.length, "vmlinuz");
  const plan = planLinux(file, options);
  const [{ offset, length, address } = NOTHING] = kernelRanges(file, options.ram);
  memory.write(address, kernel.subarray(offset, offset + length));
  memory.write(plan.initrd?.address ?? 0, initrd);
  place(memory, plan.placements);
  const header = 0x7000 + boot_params.hdr;
  assertEquals(readBytes(memory, 0x100000, 4096), kernel.slice(2048));
  assertEquals(memory.readU32(header + setup_header.ramdisk_image), 64 * MIB - 8192);
  assertEquals(memory.readU32(header + setup_header.ramdisk_size), 5000);
  assertEquals(readBytes(memory, 64 * MIB - 8192, 5000), initrd);
  assertEquals(memory.readU32(header + setup_header.cmd_line_ptr), 0x20000);
  assertEquals(new TextDecoder().decode(readBytes(memory, 0x20000, 14)), "console=ttyS0\0");
  assertEquals(memory.readU32(0x7000 + boot_params.acpi_rsdp_addr), 0xe0000);
  assertEquals(memory.readU8(header + setup_header.type_of_loader), 0xff);
  assertEquals(memory.readU32(header + setup_header.init_size), 0x800000);
});

Deno.test("planLinux() tells the memory map in the zero page", () => {
  const plan = planLinux(image(), OPTIONS);
  const page = plan.placements[0]?.bytes ?? new Uint8Array();
  const view = new DataView(page.buffer);
  const rows = Array.from({ length: view.getUint8(boot_params.e820_entries) }, (_, i) => ({
    address: Number(view.getBigUint64(boot_params.e820_table + i * 20, true)),
    size: Number(view.getBigUint64(boot_params.e820_table + i * 20 + 8, true)),
    type: view.getUint32(boot_params.e820_table + i * 20 + 16, true),
  }));
  assertEquals(rows, [...plan.e820]);
  assertEquals(page.length, 4096);
});

Deno.test("planLinux() enters at the 64-bit entry point in a state that VMX accepts", () => {
  const { entry } = planLinux(image(), OPTIONS);
  assertEquals(entry.registers.rip, 0x100200n);
  assertEquals(entry.registers.rsi, 0x7000n);
  assertEquals(checkGuestState(entry), []);
});

Deno.test("planLinux() leaves the initrd fields 0 without an initrd", () => {
  const plan = planLinux(image({ fields: { ramdisk_image: 7, ramdisk_size: 7 } }), OPTIONS);
  const view = new DataView(plan.placements[0]?.bytes.buffer ?? new ArrayBuffer(0));
  assertEquals(plan.initrd, undefined);
  assertEquals(view.getUint32(boot_params.hdr + setup_header.ramdisk_image, true), 0);
  assertEquals(view.getUint32(boot_params.hdr + setup_header.ramdisk_size, true), 0);
});

Deno.test("planLinux() keeps the initrd above what the kernel unpacks itself into", () => {
  const init = { fields: { init_size: 30 * MIB } };
  const fits = planLinux(image(init), { ...OPTIONS, initrdSize: 18 * MIB });
  assertEquals(fits.initrd?.address, 46 * MIB);
  assertThrows(
    () => planLinux(image(init), { ...OPTIONS, initrdSize: 18 * MIB + 1 }),
    VireoError,
    `RAM has room for ${18 * MIB}`,
  );
});

Deno.test("planLinux() puts the initrd below initrd_addr_max on a large machine", () => {
  const plan = planLinux(image(), { ...OPTIONS, ram: splitRam(8192 * MIB), initrdSize: 4096 });
  assertEquals(plan.initrd?.address, 0x7ffff000);
});

const TOO_LARGE: readonly (readonly [string, ImageOptions, string])[] = [
  ["init_size is more than RAM", { fields: { init_size: 49 * MIB } }, "at least 65 MiB"],
  ["init_size is 4 GiB", { fields: { init_size: 0xffffffff } }, "needs RAM up to 0x100ffffff"],
  ["the preferred address is above RAM", { fields: { pref_address: 0x80000000 } }, "2056 MiB"],
  ["its alignment is above RAM", { fields: { kernel_alignment: 0x40000000 } }, "1032 MiB"],
  ["the file is larger than RAM", { kernelSize: 64 * MIB }, "at least 65 MiB"],
];

for (const [name, options, message] of TOO_LARGE) {
  Deno.test(`planLinux() refuses a kernel when ${name}`, () => {
    const error = assertThrows(() => planLinux(image(options), OPTIONS), VireoError, message);
    assert(error.message.startsWith('Cannot load kernel "vmlinuz": it needs RAM up to 0x'));
  });
}

Deno.test("planLinux() runs a kernel that is not relocatable at its preferred address", () => {
  const fields = { relocatable_kernel: 0, pref_address: 0x1000000, kernel_alignment: 0x40000000 };
  assertEquals(kernelRanges(image({ fields }), OPTIONS.ram)[0]?.address, 0x100000);
});

Deno.test("planLinux() refuses more memory ranges than the zero page has room for", () => {
  const reserved = Array.from({ length: 126 }, (_, i) => ({
    address: 0xd0000000 + i * 0x2000,
    size: 0x1000,
  }));
  assertThrows(() => planLinux(image(), { ...OPTIONS, reserved }), VireoError, "130 memory ranges");
});

Deno.test("planLinux() takes a command line of exactly cmdline_size (row 2.7)", () => {
  const commandLine = "a".repeat(2047);
  const { placements } = planLinux(image(), { ...OPTIONS, commandLine });
  assertEquals(placements.find(({ address }) => address === 0x20000)?.bytes.length, 2048);
});

function elf(options: ElfOptions = {}): ElfKernel {
  return parseElfKernel(new MemoryFile("vmlinux", elfImage(options)));
}

Deno.test("planLinux() starts an ELF kernel by its 64-bit entry with a zero page of its own", () => {
  const options = { ...OPTIONS, initrdSize: 5000, rsdpAddress: 0xe0000, entry: "linux64" as const };
  const plan = planLinux(elf(), options);
  const ranges = kernelRanges(elf(), options.ram, options.entry);
  assertEquals(ranges.map(({ offset, length, address }) => [offset, length, address]), [
    [0x1000, 0x800, 0x1000000],
    [0x1800, 0x100, 0x1400000],
  ]);
  assertEquals([plan.entry.registers.rip, plan.entry.registers.rsi], [0x1000100n, 0x7000n]);
  assertEquals(checkGuestState(plan.entry), []);
  const page = plan.placements.find(({ address }) => address === 0x7000)?.bytes;
  const view = new DataView(page?.buffer ?? new ArrayBuffer(0));
  const header = boot_params.hdr;
  assertEquals(view.getUint32(header + setup_header.header, true), 0x53726448);
  assertEquals(view.getUint32(header + setup_header.ramdisk_image, true), 64 * MIB - 8192);
  assertEquals(view.getUint32(header + setup_header.ramdisk_size, true), 5000);
  assertEquals(view.getUint8(header + setup_header.type_of_loader), 0xff);
});

Deno.test("planLinux() starts an ELF kernel by PVH where it can, with its start info", () => {
  const memory = ram(64 * MIB);
  const plan = planLinux(elf(), { ...OPTIONS, initrdSize: 5000, rsdpAddress: 0xe0000 });
  place(memory, plan.placements);
  assertEquals([plan.entry.registers.rip, plan.entry.registers.rbx], [0x1000200n, 0x6000n]);
  assertEquals(checkGuestState(plan.entry), []);
  const u32 = (at: number) => memory.readU32(0x6000 + at);
  assertEquals([u32(0), u32(4), u32(12)], [0x336ec578, 1, 1]);
  const [modules, map] = [u32(hvm_start_info.modlist_paddr), u32(hvm_start_info.memmap_paddr)];
  assertEquals([memory.readU32(modules), memory.readU32(modules + 8)], [64 * MIB - 8192, 5000]);
  assertEquals(u32(hvm_start_info.cmdline_paddr), 0x20000);
  assertEquals(u32(hvm_start_info.rsdp_paddr), 0xe0000);
  const rows = Array.from({ length: u32(hvm_start_info.memmap_entries) }, (_, index) => ({
    address: memory.readU32(map + index * 24),
    size: memory.readU32(map + index * 24 + 8),
    type: memory.readU32(map + index * 24 + 16),
  }));
  assertEquals(rows, [...plan.e820]);
});

Deno.test("planLinux() gives a PVH kernel without an initrd no module", () => {
  const [page] = planLinux(elf(), OPTIONS).placements;
  const view = new DataView(page?.bytes.buffer ?? new ArrayBuffer(0));
  assertEquals(view.getUint32(hvm_start_info.nr_modules, true), 0);
  assertEquals(view.getBigUint64(hvm_start_info.modlist_paddr, true), 0n);
});

Deno.test("planLinux() keeps the initrd above an ELF kernel's zeros", () => {
  const size = 64 * MIB - 0x1403000;
  const plan = planLinux(elf(), { ...OPTIONS, initrdSize: size });
  assertEquals(plan.initrd?.address, 0x1403000);
  const error = assertThrows(
    () => planLinux(elf(), { ...OPTIONS, initrdSize: size + 1 }),
    KernelError,
  );
  assertEquals(error.part, "initrd");
});

const UNFIT: readonly (readonly [string, () => unknown, string])[] = [
  [
    "an ELF kernel larger than RAM",
    () => planLinux(elf(), { ...OPTIONS, ram: splitRam(16 * MIB) }),
    "it needs RAM up to 0x1403000 for its segments and there are 0x1000000 bytes below the hole; " +
    "give the machine at least 21 MiB",
  ],
  [
    "an ELF kernel below 1 MiB",
    () =>
      planLinux(
        elf({
          segments: [{ ...SEGMENTS[0]!, address: 0x1000 }],
          notes: pvhNotes(0x1000),
          entry: 0x1000,
        }),
        OPTIONS,
      ),
    "a segment goes to 0x1000, below 1 MiB",
  ],
  [
    "an ELF kernel within the hole",
    () =>
      planLinux(elf({ segments: [{ ...SEGMENTS[0]!, address: 0xd0000000 }], entry: 0xd0000000 }), {
        ...OPTIONS,
        ram: splitRam(8192 * MIB),
      }),
    "it needs RAM up to 0xd0000800 for its segments and there are 0xd0000000 bytes below the hole",
  ],
  [
    "PVH for a kernel without its note",
    () => planLinux(elf({ notes: new Uint8Array(60) }), { ...OPTIONS, entry: "pvh" }),
    "it has no PVH entry",
  ],
  [
    "PVH for a bzImage",
    () => planLinux(image(), { ...OPTIONS, entry: "pvh" }),
    "a bzImage has no PVH entry; pass the vmlinux in it",
  ],
  [
    "a 64-bit entry outside of the kernel",
    () => planLinux(elf({ entry: 0x100000 }), { ...OPTIONS, entry: "linux64" }),
    "its entry point, 0x100000, is outside",
  ],
  [
    "2048 bytes of command line for an ELF kernel",
    () => planLinux(elf(), { ...OPTIONS, commandLine: "x".repeat(2048) }),
    "its command line has 2048 bytes and it reads at most 2047",
  ],
];

for (const [name, plan, message] of UNFIT) {
  Deno.test(`planLinux() refuses ${name}`, () => {
    assertThrows(plan, KernelError, message);
  });
}
