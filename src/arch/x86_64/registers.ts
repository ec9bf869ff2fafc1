/**
 * The state in which each entry path gives a vCPU to its first instruction. All of it satisfies the rules in
 * guest_state.ts.
 *
 * @module
 */

import * as x86 from "../../abi/x86.ts";
import type { FpuState, Registers, Segment, SpecialRegisters } from "../../abi/x86.ts";
import {
  BOOT_GDT_ADDRESS,
  BOOT_IDT_ADDRESS,
  BOOT_STACK_ADDRESS,
  LAPIC_ADDRESS,
  PAGE_TABLES_ADDRESS,
} from "./layout.ts";
import type { Placement } from "./placement.ts";

/** Everything about a vCPU that an entry path decides. */
export interface EntryState {
  /** General registers, rip and rflags. */
  readonly registers: Registers;
  /** Segments, descriptor tables and control registers. */
  readonly special: SpecialRegisters;
  /** Control words of x87 and SSE. */
  readonly fpu: FpuState;
}

/** Linux' __BOOT_CS, demanded by the boot protocol. */
export const BOOT_CS = 0x10;
/** Linux' __BOOT_DS. */
export const BOOT_DS = 0x18;
/** The task state segment, which VMX wants valid; its descriptor takes two places in long mode. */
export const BOOT_TSS = 0x20;

/** A TSS without an I/O map, minus one. */
const TSS_LIMIT = 0x67;
const FLAT_LIMIT = 0xffffffff;
const GDT_SIZE = 48;
/** As after FNINIT and with every SSE exception masked. */
const FPU: FpuState = Object.freeze({ fcw: 0x37f, mxcsr: 0x1f80 });
const APIC_BASE = BigInt(LAPIC_ADDRESS) + x86.APICBASE_ENABLE + x86.APICBASE_BSP;

/**
 * Real mode at cs:ip with interrupts off and all segments equal, for tiny guests. The stack pointer is 0, so the first push
 * goes to the top of the segment.
 *
 * @param cs segment, 0-0xffff
 * @param ip offset, 0-0xffff
 */
export function realModeEntry(cs: number, ip: number): EntryState {
  const segment = realSegment(cs, x86.SEGMENT_DATA);
  return {
    registers: general({ rip: BigInt(ip) }),
    special: special({
      cs: realSegment(cs, x86.SEGMENT_CODE),
      data: segment,
      tr: systemSegment(x86.SEGMENT_TSS_BUSY, 0),
      cr0: x86.X86_CR0_ET | x86.X86_CR0_NE,
    }),
    fpu: FPU,
  };
}

/**
 * Long mode by Linux' 64-bit boot protocol (Documentation/arch/x86/boot.rst): identity page tables, flat segments, rsi at
 * the zero page, interrupts off.
 *
 * @param rip the kernel's 64-bit entry point
 * @param zeroPage address of boot_params
 */
export function linux64Entry(rip: number, zeroPage: number): EntryState {
  return {
    registers: general({
      rip: BigInt(rip),
      rsi: BigInt(zeroPage),
      rsp: BigInt(BOOT_STACK_ADDRESS),
      rbp: BigInt(BOOT_STACK_ADDRESS),
    }),
    special: special({
      cs: flatSegment(BOOT_CS, x86.SEGMENT_CODE, { db: 0, l: 1 }),
      data: flatSegment(BOOT_DS, x86.SEGMENT_DATA, { db: 1, l: 0 }),
      tr: systemSegment(x86.SEGMENT_TSS_BUSY, BOOT_TSS),
      cr0: x86.X86_CR0_PE | x86.X86_CR0_ET | x86.X86_CR0_NE | x86.X86_CR0_PG,
      cr3: BigInt(PAGE_TABLES_ADDRESS),
      cr4: x86.X86_CR4_PAE,
      efer: x86.EFER_LME | x86.EFER_LMA,
    }),
    fpu: FPU,
  };
}

/**
 * 32-bit protected mode without paging by Xen's PVH protocol (docs/misc/pvh.pandoc): ebx at hvm_start_info.
 *
 * @param eip the address in the ELF note XEN_ELFNOTE_PHYS32_ENTRY
 * @param startInfo address of hvm_start_info
 */
export function pvhEntry(eip: number, startInfo: number): EntryState {
  return {
    registers: general({ rip: BigInt(eip), rbx: BigInt(startInfo) }),
    special: special({
      cs: flatSegment(BOOT_CS, x86.SEGMENT_CODE, { db: 1, l: 0 }),
      data: flatSegment(BOOT_DS, x86.SEGMENT_DATA, { db: 1, l: 0 }),
      tr: systemSegment(x86.SEGMENT_TSS_BUSY, BOOT_TSS),
      cr0: x86.X86_CR0_PE | x86.X86_CR0_ET | x86.X86_CR0_NE,
    }),
    fpu: FPU,
  };
}

/** The GDT that an entry state's selectors point into: two empty places, code, data, and a TSS of two places. */
export function bootGdt(special: SpecialRegisters): Placement {
  const bytes = new Uint8Array(GDT_SIZE);
  const view = new DataView(bytes.buffer);
  for (const segment of [special.cs, special.ds, special.tr]) {
    view.setBigUint64(segment.selector, descriptor(segment), true);
  }
  return { address: BOOT_GDT_ADDRESS, bytes };
}

// bits: a descriptor's fields
/** Packs the lower eight bytes of a descriptor (SDM vol. 3A §3.4.5). */
function descriptor(segment: Segment): bigint {
  const limit = BigInt(segment.g ? Math.floor(segment.limit / 4096) : segment.limit);
  const access = segment.type + segment.s * 0x10 + segment.dpl * 0x20 + segment.present * 0x80;
  const flags = segment.avl + segment.l * 2 + segment.db * 4 + segment.g * 8;
  return (limit & 0xffffn) | ((segment.base & 0xffffffn) << 16n) | (BigInt(access) << 40n) |
    ((limit >> 16n) << 48n) | (BigInt(flags) << 52n) | ((segment.base >> 24n & 0xffn) << 56n);
}

function general(set: Partial<Registers>): Registers {
  return {
    rax: 0n,
    rbx: 0n,
    rcx: 0n,
    rdx: 0n,
    rsi: 0n,
    rdi: 0n,
    rsp: 0n,
    rbp: 0n,
    r8: 0n,
    r9: 0n,
    r10: 0n,
    r11: 0n,
    r12: 0n,
    r13: 0n,
    r14: 0n,
    r15: 0n,
    rip: 0n,
    rflags: x86.X86_EFLAGS_FIXED,
    ...set,
  };
}

function special(set: {
  readonly cs: Segment;
  readonly data: Segment;
  readonly tr: Segment;
  readonly cr0: bigint;
  readonly cr3?: bigint;
  readonly cr4?: bigint;
  readonly efer?: bigint;
}): SpecialRegisters {
  const { cs, data, tr } = set;
  const real = (set.cr0 & x86.X86_CR0_PE) === 0n; // bits: a control register
  return {
    cs,
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    tr,
    ldt: { ...systemSegment(x86.SEGMENT_LDT, 0), unusable: 1 },
    gdt: { base: BigInt(BOOT_GDT_ADDRESS), limit: GDT_SIZE - 1 },
    // In real mode the vector table is at 0. In protected mode the empty table turns any exception into a triple fault,
    // which ends the machine with its state printed instead of running wild.
    idt: real ? { base: 0n, limit: 0x3ff } : { base: BigInt(BOOT_IDT_ADDRESS), limit: 0 },
    cr0: set.cr0,
    cr2: 0n,
    cr3: set.cr3 ?? 0n,
    cr4: set.cr4 ?? 0n,
    cr8: 0n,
    efer: set.efer ?? 0n,
    apic_base: APIC_BASE,
  };
}

function realSegment(selector: number, type: number): Segment {
  return {
    base: BigInt(selector * 16),
    limit: 0xffff,
    selector,
    type,
    present: 1,
    dpl: 0,
    db: 0,
    s: 1,
    l: 0,
    g: 0,
    avl: 0,
    unusable: 0,
  };
}

function flatSegment(selector: number, type: number, mode: { db: number; l: number }): Segment {
  return { ...realSegment(0, type), selector, limit: FLAT_LIMIT, g: 1, ...mode };
}

function systemSegment(type: number, selector: number): Segment {
  return { ...realSegment(0, type), selector, limit: TSS_LIMIT, s: 0 };
}
