import { assertEquals } from "@std/assert";
import { setup_header, SETUP_HEADER_OFFSET } from "../../src/abi/boot.ts";
import { PAGE_SIZE, splitRam } from "../../src/arch/x86_64/layout.ts";
import { VireoError } from "../../src/base/errors.ts";
import { parseBzImage } from "../../src/boot/bzimage.ts";
import { kernelRanges, planLinux } from "../../src/boot/linux_loader.ts";
import { bzImagePayload } from "../../src/boot/vmlinux.ts";
import { kernelImage } from "../boot/kernel_image.ts";
import { fuzz, type Random } from "../support/random.ts";
import { checkPlan } from "./plan_oracle.ts";

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

Deno.test("planLinux() stays within RAM whatever a kernel's header says, or refuses it", () => {
  fuzz((random) => {
    const file = hostileKernel(random);
    const ramEnd = PAGE_SIZE * random.between(256, 64 * MIB / PAGE_SIZE);
    try {
      const image = parseBzImage(file.subarray(0, 1024), file.length, "vmlinuz");
      const ram = splitRam(ramEnd);
      const plan = planLinux(image, {
        ram,
        commandLine: "x".repeat(random.below(4096)),
        initrdSize: random.below(48 * MIB),
      });
      checkPlan(kernelRanges(image, ram), plan, ramEnd);
    } catch (error) {
      if (!(error instanceof VireoError)) throw error;
    }
  });
});

Deno.test("bzImagePayload() stays within the file whatever its header says, or refuses it", () => {
  fuzz((random) => {
    const image = hostileKernel(random).slice();
    const view = new DataView(image.buffer);
    const fits = image.length >= SETUP_HEADER_OFFSET + setup_header.payload_length + 4;
    const [offset, length] = random.chance(0.5)
      ? [random.below(4096), random.below(8192)]
      : [random.hostile32(), random.hostile32()];
    if (fits) {
      view.setUint32(SETUP_HEADER_OFFSET + setup_header.payload_offset, offset, true);
      view.setUint32(SETUP_HEADER_OFFSET + setup_header.payload_length, length, true);
    }
    try {
      const payload = bzImagePayload(image, "vmlinuz");
      assertEquals(payload.length, length);
      const sectors = view.getUint8(SETUP_HEADER_OFFSET) || 4;
      assertEquals(payload.byteOffset, (sectors + 1) * 512 + offset);
    } catch (error) {
      if (!(error instanceof VireoError)) throw error;
    }
  });
});
