import { assert, assertEquals } from "@std/assert";
import type { Registers, Segment, SpecialRegisters } from "../../../src/abi/x86.ts";
import { checkGuestState } from "../../../src/arch/x86_64/guest_state.ts";
import {
  type EntryState,
  linux64Entry,
  pvhEntry,
  realModeEntry,
} from "../../../src/arch/x86_64/registers.ts";

const PATHS: Record<string, EntryState> = {
  "real mode": realModeEntry(0x1003, 0xfff0),
  "Linux 64-bit": linux64Entry(0x100200, 0x7000),
  "PVH": pvhEntry(0x1000000, 0x6000),
};

for (const [path, entry] of Object.entries(PATHS)) {
  Deno.test(`checkGuestState() finds nothing wrong with the ${path} entry`, () => {
    assertEquals(checkGuestState(entry), []);
  });
}

type Path = keyof typeof PATHS;

interface Mutation {
  readonly path: Path;
  readonly rule: string;
  readonly registers?: Partial<Registers>;
  readonly special?: Partial<Omit<SpecialRegisters, SegmentName>>;
  readonly segment?: readonly [SegmentName, Partial<Segment>];
}

type SegmentName = "cs" | "ds" | "es" | "fs" | "gs" | "ss" | "tr" | "ldt";

const LONG = "Linux 64-bit";
const REAL = "real mode";
const FLAT = "PVH";
const UNCANONICAL = 0x8000_0000_0000n;

/** Each row breaks one rule of SDM vol. 3C §27.3.1; the rule must be named. */
const MUTATIONS: readonly Mutation[] = [
  { path: LONG, rule: "CR0: reserved", special: { cr0: 0x8000_0071n } },
  { path: LONG, rule: "CR0: reserved", special: { cr0: 0x1_8000_0031n } },
  { path: LONG, rule: "CR0.NE", special: { cr0: 0x8000_0011n } },
  { path: REAL, rule: "CR0.PG needs", special: { cr0: 0x8000_0030n } },
  { path: LONG, rule: "CR0.NW needs", special: { cr0: 0xa000_0031n } },
  { path: LONG, rule: "CR4: reserved", special: { cr4: 0x8020n } },
  { path: LONG, rule: "CR4.VMXE", special: { cr4: 0x2020n } },
  { path: LONG, rule: "CR4.CET", special: { cr4: 0x80_0020n } },
  { path: FLAT, rule: "CR4.PCIDE", special: { cr4: 0x2_0000n } },
  { path: LONG, rule: "CR3: bits", special: { cr3: 1n << 52n } },
  { path: LONG, rule: "CR8", special: { cr8: 16n } },
  { path: LONG, rule: "EFER: reserved", special: { efer: 0x502n } },
  { path: LONG, rule: "EFER.LMA", special: { efer: 0x100n } },
  { path: FLAT, rule: "EFER.LMA", special: { efer: 0x400n } },
  { path: LONG, rule: "CR4.PAE", special: { cr4: 0n } },
  { path: LONG, rule: "CS: type", segment: ["cs", { type: 10 }] },
  { path: LONG, rule: "CS must be usable", segment: ["cs", { unusable: 1 }] },
  { path: LONG, rule: "CS: S", segment: ["cs", { s: 0 }] },
  { path: LONG, rule: "CS: P", segment: ["cs", { present: 0 }] },
  { path: REAL, rule: "CS of type 3", segment: ["cs", { type: 3, dpl: 1 }] },
  { path: LONG, rule: "CS: DPL", segment: ["cs", { dpl: 3 }] },
  { path: FLAT, rule: "Conforming CS", segment: ["cs", { type: 15, dpl: 3 }] },
  { path: LONG, rule: "L and D/B", segment: ["cs", { db: 1 }] },
  { path: LONG, rule: "CS: base", segment: ["cs", { base: 1n << 32n }] },
  { path: LONG, rule: "CS: G", segment: ["cs", { g: 0 }] },
  { path: REAL, rule: "CS: G", segment: ["cs", { g: 1, limit: 0xfffe }] },
  { path: LONG, rule: "SS: type", segment: ["ss", { type: 1 }] },
  { path: REAL, rule: "SS: DPL must be 0", segment: ["ss", { dpl: 3 }] },
  { path: LONG, rule: "SS: RPL", segment: ["ss", { selector: 0x1b, dpl: 3 }] },
  { path: LONG, rule: "SS: DPL must equal", segment: ["ss", { dpl: 1 }] },
  { path: LONG, rule: "SS: base", segment: ["ss", { base: 1n << 32n }] },
  { path: LONG, rule: "DS: type", segment: ["ds", { type: 2 }] },
  { path: LONG, rule: "ES: code must be readable", segment: ["es", { type: 9 }] },
  { path: LONG, rule: "ES: base", segment: ["es", { base: 1n << 40n }] },
  { path: LONG, rule: "DS: S", segment: ["ds", { s: 0 }] },
  { path: LONG, rule: "FS: P", segment: ["fs", { present: 0 }] },
  { path: LONG, rule: "FS: base", segment: ["fs", { base: UNCANONICAL }] },
  { path: LONG, rule: "GS: G", segment: ["gs", { g: 0 }] },
  { path: LONG, rule: "GS: base", segment: ["gs", { base: UNCANONICAL, unusable: 1 }] },
  { path: LONG, rule: "TR must be usable", segment: ["tr", { unusable: 1 }] },
  { path: LONG, rule: "TR: type", segment: ["tr", { type: 3 }] },
  { path: FLAT, rule: "TR: type", segment: ["tr", { type: 9 }] },
  { path: LONG, rule: "TR: S", segment: ["tr", { s: 1 }] },
  { path: LONG, rule: "TR: P", segment: ["tr", { present: 0 }] },
  { path: LONG, rule: "TR: TI", segment: ["tr", { selector: 0x24 }] },
  { path: LONG, rule: "TR: base", segment: ["tr", { base: UNCANONICAL }] },
  { path: LONG, rule: "TR: G", segment: ["tr", { g: 1 }] },
  { path: LONG, rule: "LDTR: type", segment: ["ldt", { unusable: 0, type: 3 }] },
  { path: LONG, rule: "LDTR: S", segment: ["ldt", { unusable: 0, s: 1 }] },
  { path: LONG, rule: "LDTR: P", segment: ["ldt", { unusable: 0, present: 0 }] },
  { path: LONG, rule: "LDTR: TI", segment: ["ldt", { unusable: 0, selector: 4 }] },
  { path: LONG, rule: "LDTR: base", segment: ["ldt", { unusable: 0, base: UNCANONICAL }] },
  { path: LONG, rule: "LDTR: G", segment: ["ldt", { unusable: 0, g: 1 }] },
  { path: LONG, rule: "GDTR: base", special: { gdt: { base: UNCANONICAL, limit: 0 } } },
  { path: LONG, rule: "IDTR: limit", special: { idt: { base: 0n, limit: 0x10000 } } },
  { path: LONG, rule: "RIP must be canonical", registers: { rip: UNCANONICAL } },
  { path: FLAT, rule: "RIP must be below", registers: { rip: 1n << 32n } },
  { path: LONG, rule: "RFLAGS: reserved", registers: { rflags: 0x8002n } },
  { path: LONG, rule: "RFLAGS: bit 1", registers: { rflags: 0n } },
  { path: LONG, rule: "RFLAGS.VM", registers: { rflags: 0x2_0002n } },
];

for (const mutation of MUTATIONS) {
  const { path, rule, registers, special, segment } = mutation;
  const change = JSON.stringify(
    { registers, special, segment },
    (_key, value) => typeof value === "bigint" ? `0x${value.toString(16)}` : value,
  );
  Deno.test(`checkGuestState() names "${rule}" for ${path} with ${change}`, () => {
    const entry = PATHS[path] as EntryState;
    const sregs: SpecialRegisters = { ...entry.special, ...special };
    const state = {
      registers: { ...entry.registers, ...registers },
      special: segment
        ? { ...sregs, [segment[0]]: { ...sregs[segment[0]], ...segment[1] } }
        : sregs,
    };
    const violations = checkGuestState(state);
    assert(
      violations.some((text) => text.includes(rule)),
      violations.join("; "),
    );
  });
}

Deno.test("checkGuestState() checks CR3 against the given physical address width", () => {
  const entry = linux64Entry(0x100200, 0x7000);
  const special = { ...entry.special, cr3: 1n << 36n };
  assertEquals(checkGuestState({ ...entry, special }, 36), [
    "CR3: bits above the physical address width must be 0",
  ]);
});
