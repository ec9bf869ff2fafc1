import { assertEquals } from "@std/assert";
import { basename } from "@std/path";
import { type Layout, sizeof } from "../../src/base/struct.ts";
import { ACPI_LAYOUTS } from "./acpi_layouts.ts";
import { KVM_PAIRS, LINUX_PAIRS } from "./kvm_layouts.ts";
import { BOOT_PAIRS, FIRMWARE_PAIRS, VIRTIO_PAIRS } from "./layouts.ts";

const ABI = new URL("../../src/abi/", import.meta.url);

Deno.test("every layout in src/abi is compared with that of a C compiler", async () => {
  const compared = new Set<unknown>([
    ...[...KVM_PAIRS, ...LINUX_PAIRS, ...BOOT_PAIRS, ...FIRMWARE_PAIRS, ...VIRTIO_PAIRS]
      .map(({ layout }) => layout),
    ...ACPI_LAYOUTS,
  ]);
  const left: string[] = [];
  for await (const { name: file } of Deno.readDir(ABI)) {
    const module: Record<string, unknown> = await import(new URL(file, ABI).href);
    for (const [name, value] of Object.entries(module)) {
      if (isLayout(value) && !compared.has(value)) left.push(`${basename(file)}: ${name}`);
    }
  }
  assertEquals(left, []);
});

function isLayout(value: unknown): boolean {
  return typeof value === "object" && value !== null && sizeof(value as Layout) !== undefined;
}
