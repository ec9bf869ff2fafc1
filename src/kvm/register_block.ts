/**
 * Register files as `struct kvm_regs` and `struct kvm_sregs`, and back.
 *
 * @module
 */

import { KvmDtable, KvmRegs, KvmSegment, KvmSregs } from "../abi/kvm.ts";
import type { DescriptorTable, Registers, Segment, SpecialRegisters } from "../abi/x86.ts";
import { viewOf } from "../base/bytes.ts";
import { sizeof } from "../base/struct.ts";

const REGISTERS = Object.keys(KvmRegs) as (keyof Registers)[];
const SEGMENTS = ["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"] as const;
const TABLES = ["gdt", "idt"] as const;
const CONTROLS = ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"] as const;
const SEGMENT_BYTES = ["type", "present", "dpl", "db", "s", "l", "g", "avl", "unusable"] as const;

/** `struct kvm_regs` as registers. */
export function decodeRegisters(bytes: Uint8Array<ArrayBuffer>): Registers {
  const view = viewOf(bytes);
  const pairs = REGISTERS.map((name) => [name, view.getBigUint64(KvmRegs[name], true)]);
  return Object.fromEntries(pairs) as Record<keyof Registers, bigint>;
}

/** Registers as `struct kvm_regs`. */
export function encodeRegisters(registers: Registers): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeof(KvmRegs));
  const view = viewOf(bytes);
  for (const name of REGISTERS) view.setBigUint64(KvmRegs[name], registers[name], true);
  return bytes;
}

/** `struct kvm_sregs` as registers. */
export function decodeSpecialRegisters(bytes: Uint8Array<ArrayBuffer>): SpecialRegisters {
  const view = viewOf(bytes);
  const parts = [
    ...SEGMENTS.map((name) => [name, decodeSegment(view, KvmSregs[name])]),
    ...TABLES.map((name) => [name, decodeTable(view, KvmSregs[name])]),
    ...CONTROLS.map((name) => [name, view.getBigUint64(KvmSregs[name], true)]),
  ];
  return Object.fromEntries(parts) as unknown as SpecialRegisters;
}

/** Writes registers over a `struct kvm_sregs`, whose interrupt bitmap stays. */
export function encodeSpecialRegisters(
  bytes: Uint8Array<ArrayBuffer>,
  registers: SpecialRegisters,
): void {
  const view = viewOf(bytes);
  for (const name of SEGMENTS) encodeSegment(view, KvmSregs[name], registers[name]);
  for (const name of TABLES) {
    view.setBigUint64(KvmSregs[name] + KvmDtable.base, registers[name].base, true);
    view.setUint16(KvmSregs[name] + KvmDtable.limit, registers[name].limit, true);
  }
  for (const name of CONTROLS) view.setBigUint64(KvmSregs[name], registers[name], true);
}

function decodeSegment(view: DataView, at: number): Segment {
  return {
    base: view.getBigUint64(at + KvmSegment.base, true),
    limit: view.getUint32(at + KvmSegment.limit, true),
    selector: view.getUint16(at + KvmSegment.selector, true),
    type: view.getUint8(at + KvmSegment.type),
    present: view.getUint8(at + KvmSegment.present),
    dpl: view.getUint8(at + KvmSegment.dpl),
    db: view.getUint8(at + KvmSegment.db),
    s: view.getUint8(at + KvmSegment.s),
    l: view.getUint8(at + KvmSegment.l),
    g: view.getUint8(at + KvmSegment.g),
    avl: view.getUint8(at + KvmSegment.avl),
    unusable: view.getUint8(at + KvmSegment.unusable),
  };
}

function encodeSegment(view: DataView, at: number, segment: Segment): void {
  view.setBigUint64(at + KvmSegment.base, segment.base, true);
  view.setUint32(at + KvmSegment.limit, segment.limit, true);
  view.setUint16(at + KvmSegment.selector, segment.selector, true);
  for (const name of SEGMENT_BYTES) view.setUint8(at + KvmSegment[name], segment[name]);
}

function decodeTable(view: DataView, at: number): DescriptorTable {
  return {
    base: view.getBigUint64(at + KvmDtable.base, true),
    limit: view.getUint16(at + KvmDtable.limit, true),
  };
}
