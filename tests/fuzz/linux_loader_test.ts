import { assert } from "@std/assert";
import { setup_header, SETUP_HEADER_OFFSET } from "../../src/abi/boot.ts";
import { PAGE_SIZE, splitRam } from "../../src/arch/x86_64/layout.ts";
import { VireoError } from "../../src/base/errors.ts";
import { parseBzImage } from "../../src/boot/bzimage.ts";
import { type LinuxPlan, planLinux } from "../../src/boot/linux_loader.ts";
import { kernelImage } from "../boot/kernel_image.ts";
import { fuzz, type Random } from "../support/random.ts";

const MIB = 2 ** 20;
/** Offsets at which a 32-bit field of the header begins. */
const FIELDS = Object.values<number>(Object.fromEntries(Object.entries(setup_header)));

/** A kernel some of whose header is what an attacker likes. */
function hostileKernel(random: Random): Uint8Array {
  const file = kernelImage({ kernelSize: 16 * random.between(1, 512) });
  const view = new DataView(file.buffer);
  for (let i = random.below(4); i > 0; i--) {
    const field = FIELDS[random.below(FIELDS.length)] ?? 0;
    view.setUint32(SETUP_HEADER_OFFSET + field, random.hostile32(), true);
  }
  return random.chance(0.2) ? file.subarray(0, random.below(file.length + 1)) : file;
}

/** Every range that a plan writes lies in RAM, and no two of them meet. */
function checkPlan(plan: LinuxPlan, ramEnd: number): void {
  const ranges = [
    ...plan.kernel,
    ...(plan.initrd ? [plan.initrd] : []),
    ...plan.placements.map(({ address, bytes }) => ({ address, length: bytes.length })),
  ].toSorted((a, b) => a.address - b.address);
  let end = 0;
  for (const { address, length } of ranges) {
    assert(Number.isInteger(address) && length > 0 && address >= end, JSON.stringify(ranges));
    end = address + length;
  }
  assert(end <= ramEnd, JSON.stringify(ranges));
}

Deno.test("planLinux() stays within RAM whatever a kernel's header says, or refuses it", () => {
  fuzz((random) => {
    const file = hostileKernel(random);
    const ramEnd = PAGE_SIZE * random.between(256, 64 * MIB / PAGE_SIZE);
    try {
      const image = parseBzImage(file.subarray(0, 1024), file.length, "vmlinuz");
      const plan = planLinux(image, {
        ram: splitRam(ramEnd),
        commandLine: "x".repeat(random.below(4096)),
        initrdSize: random.below(48 * MIB),
      });
      checkPlan(plan, ramEnd);
    } catch (error) {
      if (!(error instanceof VireoError)) throw error;
    }
  });
});
