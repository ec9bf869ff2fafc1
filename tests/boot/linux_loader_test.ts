import { assert, assertEquals, assertThrows } from "@std/assert";
import { boot_params, setup_header } from "../../src/abi/boot.ts";
import { checkGuestState } from "../../src/arch/x86_64/guest_state.ts";
import { splitRam } from "../../src/arch/x86_64/layout.ts";
import { place } from "../../src/arch/x86_64/placement.ts";
import { VireoError } from "../../src/base/errors.ts";
import { type BzImage, parseBzImage } from "../../src/boot/bzimage.ts";
import { type LinuxOptions, planLinux } from "../../src/boot/linux_loader.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { type ImageOptions, kernelImage } from "./kernel_image.ts";

const MIB = 2 ** 20;
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
  const plan = planLinux(parseBzImage(kernel, kernel.length, "vmlinuz"), options);
  const { offset, length, address } = plan.kernel;
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
  assertEquals(planLinux(image({ fields }), OPTIONS).kernel.address, 0x100000);
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
  const [, line] = planLinux(image(), { ...OPTIONS, commandLine }).placements;
  assertEquals(line?.bytes.length, 2048);
});
