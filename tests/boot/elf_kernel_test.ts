import { assert, assertEquals, assertThrows } from "@std/assert";
import { PT_INTERP, PT_LOAD, PT_NOTE } from "../../src/abi/elf.ts";
import { type ElfKernel, parseElfKernel } from "../../src/boot/elf_kernel.ts";
import { KernelError } from "../../src/boot/kernel_error.ts";
import { MemoryFile } from "../../src/boot/kernel_file.ts";
import { elfImage, type ElfOptions, note, pvhNotes, SEGMENTS } from "./elf_image.ts";

function parse(options: ElfOptions = {}): ElfKernel {
  return parseElfKernel(new MemoryFile("vmlinux", elfImage(options)));
}

/** A segment of text that differs. */
function text(changed: Partial<typeof SEGMENTS[number]>): ElfOptions {
  const [first, ...rest] = SEGMENTS;
  assert(first !== undefined);
  return { segments: [{ ...first, ...changed }, ...rest] };
}

Deno.test("parseElfKernel() finds segments, the 64-bit entry and the PVH entry (row 3.24)", () => {
  assertEquals(parse(), {
    kind: "elf",
    name: "vmlinux",
    segments: [
      { offset: 0x1000, length: 0x800, address: 0x1000000, memorySize: 0x800 },
      { offset: 0x1800, length: 0x100, address: 0x1400000, memorySize: 0x3000 },
    ],
    entry: 0x1000100,
    pvhEntry: 0x1000200,
  });
});

Deno.test("parseElfKernel() takes a kernel without a PVH note", () => {
  const value = Uint8Array.of(0, 0, 0, 1);
  for (const notes of [note("GNU", 18, value), note("Xen", 17, value), new Uint8Array()]) {
    const padded = new Uint8Array(60);
    padded.set(notes);
    assertEquals(parse({ notes: padded }).pvhEntry, undefined);
  }
});

Deno.test("parseElfKernel() reads a PVH entry of eight bytes", () => {
  const notes = note("Xen", 18, Uint8Array.of(0x40, 2, 0, 1, 0, 0, 0, 0));
  assertEquals(parse({ notes }).pvhEntry, 0x1000240);
});

const HOSTILE_NOTES: readonly (readonly [string, Uint8Array])[] = [
  ["sizes of 0, over and over", new Uint8Array(60)],
  ["a name of 4 GiB", Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 18, 0, 0, 0)],
  ["a value of 4 GiB", Uint8Array.of(4, 0, 0, 0, 255, 255, 255, 255, 18, 0, 0, 0)],
  ["sizes whose padded sum is 2^32", Uint8Array.of(244, 255, 255, 255, 0, 0, 0, 0, 18, 0, 0, 0)],
];

for (const [name, notes] of HOSTILE_NOTES) {
  Deno.test(`parseElfKernel() ends on notes with ${name}`, () => {
    assertEquals(parse({ notes }).pvhEntry, undefined);
  });
}

const MALFORMED: readonly (readonly [string, ElfOptions, string])[] = [
  ["its header", { size: 63 }, "it is truncated: 63 bytes end within its ELF header"],
  [
    "its program headers",
    { size: 0x400 },
    "it is truncated: its program headers would end at 1192",
  ],
  ["a segment", { size: 0x1000 }, "it is truncated: a segment would end at 6144 of 4096 bytes"],
];

for (const [name, options, message] of MALFORMED) {
  Deno.test(`parseElfKernel() refuses a file that is cut within ${name}`, () => {
    const error = assertThrows(() => parse(options), KernelError, message);
    assertEquals([error.kind, error.part], ["load_memory", "kernel"]);
    assert(error.message.startsWith('Cannot load kernel "vmlinux": '), error.message);
  });
}

const TOP = 0xffff_ffff_ffff_ffffn;
const REFUSED: readonly (readonly [string, ElfOptions, string])[] = [
  ["another processor", { fields: { e_machine: 183 } }, "another processor (e_machine 183)"],
  ["a library or object", { fields: { e_type: 3 } }, "an ELF file but no kernel (e_type 3)"],
  ["e_phnum 0", { fields: { e_phnum: 0 } }, "its table of 0 program headers of 56 bytes"],
  ["e_phnum 0xffff", { fields: { e_phnum: 0xffff } }, "its table of 65535 program headers"],
  ["e_phnum past its end", { fields: { e_phnum: 0xfffe } }, "would end at 3670928 of 8192 bytes"],
  ["e_phentsize 32", { fields: { e_phentsize: 32 } }, "3 program headers of 32 bytes"],
  [
    "p_filesz > p_memsz",
    text({ fileSize: 0x801 }),
    "a segment has 2049 bytes in the file and 2048 in memory",
  ],
  ["p_offset past its end", text({ offset: 0x1801 }), "would end at 8193 of 8192 bytes"],
  ["a p_filesz that wraps", text({ fileSize: TOP, memorySize: TOP }), "does not end below 4 GiB"],
  ["a load address that wraps", text({ address: TOP }), "0x10000000000000000, which does not end"],
  ["a load above 4 GiB", text({ address: 2 ** 32 }), "goes to 0x100000000, which does not end"],
  ["a load across 4 GiB", text({ address: 2 ** 32 - 0x7ff }), "goes to 0xfffff801, which does not"],
  ["segments that overlap", text({ memorySize: 0x400001 }), "two of its segments lie at 0x1400000"],
  ["no segment", { segments: SEGMENTS.slice(2) }, "it has no segment to load"],
  [
    "an entry before its text",
    { notes: pvhNotes(0xffffff) },
    "its entry point, 0xffffff, is outside",
  ],
  ["an entry behind its text", { notes: pvhNotes(0x1000800) }, "0x1000800, is outside of what is"],
  ["an entry in zeros", { notes: pvhNotes(0x1400100) }, "0x1400100, is outside of what is loaded"],
  [
    "a dynamic loader",
    { segments: [...SEGMENTS, { ...SEGMENTS[2]!, type: PT_INTERP }] },
    "it is a program with a dynamic loader",
  ],
  [
    "2 MiB of notes",
    {
      segments: [...SEGMENTS, { ...SEGMENTS[2]!, type: PT_NOTE, fileSize: 2 ** 21 }],
      notes: new Uint8Array(60),
    },
    "it has 2097152 bytes of notes",
  ],
];

for (const [name, options, message] of REFUSED) {
  Deno.test(`parseElfKernel() refuses a kernel with ${name}`, () => {
    assertThrows(() => parse(options), KernelError, message);
  });
}

Deno.test("parseElfKernel() checks the 64-bit entry of a kernel without a PVH entry", () => {
  const options = { notes: new Uint8Array(60), entry: 0xffffffff81000000n };
  assertThrows(
    () => parse(options),
    KernelError,
    "its entry point, 0xffffffff81000000, is outside",
  );
});

Deno.test("parseElfKernel() leaves out segments that take no memory", () => {
  const empty = { type: PT_LOAD, offset: 0xffff, address: 0, fileSize: 0, memorySize: 0 };
  assertEquals(parse({ segments: [...SEGMENTS, empty] }).segments.length, 2);
});

Deno.test("parseElfKernel() refuses files of 32 bits and of the other byte order", () => {
  for (const index of [4, 5]) {
    const file = elfImage();
    file[index] = 3 - (file[index] ?? 0);
    assertThrows(
      () => parseElfKernel(new MemoryFile("vmlinux", file)),
      KernelError,
      "it is no ELF file of 64 bits",
    );
  }
});
