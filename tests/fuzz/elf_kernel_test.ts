import { assert, assertEquals } from "@std/assert";
import * as elf from "../../src/abi/elf.ts";
import { splitRam } from "../../src/arch/x86_64/layout.ts";
import { VireoError } from "../../src/base/errors.ts";
import { sizeof } from "../../src/base/struct.ts";
import { MemoryFile } from "../../src/boot/kernel_file.ts";
import { parseKernel } from "../../src/boot/kernel_image.ts";
import { kernelRanges, type LinuxOptions, planLinux } from "../../src/boot/linux_loader.ts";
import { elfImage, type ElfSegmentPlan, pvhNotes, SEGMENTS } from "../boot/elf_image.ts";
import { fuzz, type Random } from "../support/random.ts";
import { checkPlan } from "./plan_oracle.ts";

const MIB = 2 ** 20;
const PAGE = 4096;

/** A number of 64 bits as an attacker likes it: near what is good, near the ends of ranges, or anything. */
function hostile64(random: Random, good: number): bigint {
  if (random.chance(0.5)) return BigInt(good + random.between(-1, 1)) & 0xffff_ffff_ffff_ffffn;
  return BigInt(random.hostile32()) + (BigInt(random.pick([0, 0, 1, random.hostile32()])) << 32n);
}

function hostileSegment(random: Random): ElfSegmentPlan {
  const segment = SEGMENTS[random.below(SEGMENTS.length)] ?? SEGMENTS[0]!;
  const address = random.chance(0.8) ? PAGE * random.below(32 * MIB / PAGE) : 0;
  const fileSize = random.below(0x1000);
  const plain = { ...segment, address, fileSize, memorySize: fileSize + random.below(PAGE) };
  if (random.chance(0.5)) return plain;
  return {
    ...plain,
    type: random.pick([elf.PT_LOAD, elf.PT_NOTE, random.hostile32()]),
    address: hostile64(random, address),
    fileSize: hostile64(random, fileSize),
    memorySize: hostile64(random, plain.memorySize),
    align: random.pick([0, 1, 4, 8, random.hostile32()]),
  };
}

function hostileKernel(random: Random): Uint8Array<ArrayBuffer> {
  const others = Array.from({ length: random.below(4) }, () => hostileSegment(random));
  const segments = random.chance(0.3) ? SEGMENTS : [...SEGMENTS.slice(2), ...others];
  const start = Number(segments[random.below(segments.length)]?.address ?? 0) + random.below(64);
  const notes = pvhNotes(random.chance(0.7) ? start % 2 ** 32 : random.hostile32());
  if (random.chance(0.3)) notes[random.below(notes.length)] = random.u32();
  const entry = random.chance(0.7) ? start : hostile64(random, start);
  const file = elfImage({ segments, notes, entry: BigInt.asUintN(64, BigInt(entry)) });
  if (random.chance(0.2)) file[random.below(sizeof(elf.Elf64_Ehdr))] = random.u32();
  return random.chance(0.1) ? file.slice(0, random.below(file.length + 1)) : file;
}

/** What of the file is loaded, read from its headers once more. */
function expectedRanges(file: Uint8Array): readonly (readonly number[])[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const table = Number(view.getBigUint64(elf.Elf64_Ehdr.e_phoff, true));
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  return Array.from({ length: view.getUint16(elf.Elf64_Ehdr.e_phnum, true) }, (_, index) => {
    const at = table + index * sizeof(elf.Elf64_Phdr);
    return [view.getUint32(at, true), u64(at + 8), u64(at + 32), u64(at + 24)] as const;
  }).filter(([type, , length]) => type === elf.PT_LOAD && length > 0)
    .map(([, ...range]) => range)
    .toSorted((a, b) => (a[2] ?? 0) - (b[2] ?? 0));
}

Deno.test("planLinux() stays within RAM whatever an ELF kernel says, or refuses it", () => {
  let accepted = 0;
  fuzz((random) => {
    const bytes = hostileKernel(random);
    const least = random.chance(0.7) ? 32 * MIB : MIB;
    const ramEnd = PAGE * random.between(least / PAGE, 64 * MIB / PAGE);
    try {
      const image = parseKernel(new MemoryFile("vmlinux", bytes));
      const options: LinuxOptions = {
        ram: splitRam(ramEnd),
        commandLine: "x".repeat(random.below(2200)),
        initrdSize: random.chance(0.5) ? 0 : random.below(48 * MIB),
        entry: random.pick(["auto", "linux64", "pvh"]),
      };
      const plan = planLinux(image, options);
      const kernel = kernelRanges(image, options.ram, options.entry);
      checkPlan(kernel, plan, ramEnd);
      const found = kernel.map(({ offset, length, address }) => [offset, length, address]);
      assertEquals(found, expectedRanges(bytes));
      for (const [offset = 0, length = 0] of found) assert(offset + length <= bytes.length);
      const rip = Number(plan.entry.registers.rip);
      assert(found.some(([, length = 0, address = 0]) => address <= rip && rip < address + length));
      accepted++;
    } catch (error) {
      if (!(error instanceof VireoError)) throw error;
    }
  });
  assert(accepted > 0, "every kernel was refused, so nothing was shown");
});

Deno.test("parseKernel() reads or refuses any bytes", () => {
  fuzz((random) => {
    const bytes = random.bytes(random.below(3000));
    const magic = random.pick([[0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], [0x4d, 0x5a], []]);
    bytes.set(magic.slice(0, bytes.length));
    try {
      parseKernel(new MemoryFile("k", bytes));
    } catch (error) {
      if (!(error instanceof VireoError)) throw error;
    }
  });
});
