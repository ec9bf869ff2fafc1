/**
 * The rules that a guest's state must satisfy for VMX to enter it (SDM vol. 3C §27.3.1), with SVM's few on top (APM vol. 2
 * §15.5.1). VMX is the stricter: a state that only ever ran on AMD may still be refused by Intel, and this finds it
 * without one. Of CR4 the VMXE bit is left out: KVM sets it below the guest by itself.
 *
 * @module
 */

// bits-file: control registers and flags are bigints here, addresses are only compared

import * as x86 from "../../abi/x86.ts";
import type { DescriptorTable, Registers, Segment, SpecialRegisters } from "../../abi/x86.ts";

/** The state to be checked. */
export interface GuestState {
  readonly registers: Registers;
  readonly special: SpecialRegisters;
}

type Data = "ds" | "es" | "fs" | "gs" | "ss";
const DATA_SEGMENTS: readonly Data[] = ["ss", "ds", "es", "fs", "gs"];

/**
 * Checks a state as VM entry would, with "unrestricted guest" on.
 *
 * @param physicalBits width of a physical address, for CR3
 * @returns a sentence for each rule that is broken; empty for a state that can be entered
 */
export function checkGuestState(state: GuestState, physicalBits = 52): readonly string[] {
  const violations: string[] = [];
  const require = (holds: boolean, rule: string) => {
    if (!holds) violations.push(rule);
  };
  checkControl(state.special, physicalBits, require);
  checkCode(state.special, require);
  for (const name of DATA_SEGMENTS) checkData(name, state.special, require);
  checkTask(state.special, require);
  checkTable("GDTR", state.special.gdt, state.special, require);
  checkTable("IDTR", state.special.idt, state.special, require);
  checkInstructionState(state, require);
  return violations;
}

type Require = (holds: boolean, rule: string) => void;

/** §27.3.1.1: control registers and EFER. */
function checkControl(sregs: SpecialRegisters, physicalBits: number, require: Require): void {
  const { cr0, cr3, cr4, cr8, efer } = sregs;
  const paging = has(cr0, x86.X86_CR0_PG);
  const longMode = isLongMode(sregs);
  require((cr0 & ~x86.X86_CR0_BITS) === 0n, "CR0: reserved bits must be 0");
  require(has(cr0, x86.X86_CR0_NE), "CR0.NE must be 1 (fixed by VMX)");
  require(!paging || has(cr0, x86.X86_CR0_PE), "CR0.PG needs CR0.PE");
  require(!has(cr0, x86.X86_CR0_NW) || has(cr0, x86.X86_CR0_CD), "CR0.NW needs CR0.CD");
  require((cr4 & ~x86.X86_CR4_BITS) === 0n, "CR4: reserved bits must be 0");
  require(!has(cr4, x86.X86_CR4_VMXE), "CR4.VMXE is KVM's own");
  require(!has(cr4, x86.X86_CR4_CET) || has(cr0, x86.X86_CR0_WP), "CR4.CET needs CR0.WP");
  require(!has(cr4, x86.X86_CR4_PCIDE) || longMode, "CR4.PCIDE needs long mode");
  require(cr3 < 2n ** BigInt(physicalBits), "CR3: bits above the physical address width must be 0");
  require(cr8 < 16n, "CR8: only bits 0-3 exist");
  require((efer & ~x86.EFER_BITS) === 0n, "EFER: reserved bits must be 0");
  require(
    longMode === (paging && has(efer, x86.EFER_LME)),
    "EFER.LMA must be 1 exactly when EFER.LME and CR0.PG are",
  );
  require(
    !has(efer, x86.EFER_LME) || !paging || has(cr4, x86.X86_CR4_PAE),
    "Long mode needs CR4.PAE",
  );
}

/** §27.3.1.2: CS. */
function checkCode(sregs: SpecialRegisters, require: Require): void {
  const { cs, ss } = sregs;
  const conforming = cs.type === 13 || cs.type === 15;
  require(
    [3, 9, 11, 13, 15].includes(cs.type),
    "CS: type must be accessed code (9, 11, 13, 15) or 3",
  );
  require(cs.unusable === 0, "CS must be usable");
  require(cs.s === 1, "CS: S must be 1");
  require(cs.present === 1, "CS: P must be 1");
  require(cs.type !== 3 || cs.dpl === 0, "CS of type 3: DPL must be 0");
  require(conforming || cs.type === 3 || cs.dpl === ss.dpl, "CS: DPL must equal that of SS");
  require(!conforming || cs.dpl <= ss.dpl, "Conforming CS: DPL must not be above that of SS");
  require(!(isLongMode(sregs) && cs.l === 1 && cs.db === 1), "CS: L and D/B must not both be 1");
  require(cs.base < 2n ** 32n, "CS: base must be below 4 GiB");
  require(granularityFits(cs), "CS: G does not fit the limit");
}

/** §27.3.1.2: SS, DS, ES, FS, GS. */
function checkData(name: Data, sregs: SpecialRegisters, require: Require): void {
  const segment = sregs[name];
  const upper = name.toUpperCase();
  if (name === "fs" || name === "gs") {
    require(isCanonical(segment.base, sregs), `${upper}: base must be canonical`);
  }
  if (segment.unusable) return;
  if (name === "ss") checkStack(sregs, require);
  else {
    require(segment.type % 2 === 1, `${upper}: type must be accessed`);
    require(segment.type < 8 || (segment.type & 2) !== 0, `${upper}: code must be readable`);
  }
  if (name !== "fs" && name !== "gs") {
    require(segment.base < 2n ** 32n, `${upper}: base must be below 4 GiB`);
  }
  require(segment.s === 1, `${upper}: S must be 1`);
  require(segment.present === 1, `${upper}: P must be 1`);
  require(granularityFits(segment), `${upper}: G does not fit the limit`);
}

function checkStack({ cs, ss, cr0 }: SpecialRegisters, require: Require): void {
  const real = !has(cr0, x86.X86_CR0_PE);
  require(ss.type === 3 || ss.type === 7, "SS: type must be accessed writable data (3 or 7)");
  require(!(real || cs.type === 3) || ss.dpl === 0, "SS: DPL must be 0 in real mode");
  require(real || ss.selector % 4 === cs.selector % 4, "SS: RPL must equal that of CS");
  require(real || ss.dpl === ss.selector % 4, "SS: DPL must equal its RPL");
}

/** §27.3.1.2: TR and LDTR. */
function checkTask(sregs: SpecialRegisters, require: Require): void {
  const { tr, ldt } = sregs;
  const types = isLongMode(sregs)
    ? [x86.SEGMENT_TSS_BUSY]
    : [x86.SEGMENT_TSS16_BUSY, x86.SEGMENT_TSS_BUSY];
  require(tr.unusable === 0, "TR must be usable");
  require(types.includes(tr.type), `TR: type must be a busy TSS (${types.join(" or ")})`);
  require(tr.s === 0, "TR: S must be 0");
  require(tr.present === 1, "TR: P must be 1");
  require((tr.selector & 4) === 0, "TR: TI must be 0");
  require(isCanonical(tr.base, sregs), "TR: base must be canonical");
  require(granularityFits(tr), "TR: G does not fit the limit");
  if (ldt.unusable) return;
  require(ldt.type === x86.SEGMENT_LDT, "LDTR: type must be 2");
  require(ldt.s === 0, "LDTR: S must be 0");
  require(ldt.present === 1, "LDTR: P must be 1");
  require((ldt.selector & 4) === 0, "LDTR: TI must be 0");
  require(isCanonical(ldt.base, sregs), "LDTR: base must be canonical");
  require(granularityFits(ldt), "LDTR: G does not fit the limit");
}

/** §27.3.1.3. */
function checkTable(
  name: string,
  table: DescriptorTable,
  sregs: SpecialRegisters,
  require: Require,
): void {
  require(isCanonical(table.base, sregs), `${name}: base must be canonical`);
  require(table.limit <= 0xffff, `${name}: limit must fit 16 bits`);
}

/** §27.3.1.4: RIP and RFLAGS. */
function checkInstructionState({ registers, special }: GuestState, require: Require): void {
  const { rip, rflags } = registers;
  const longMode = isLongMode(special);
  if (longMode && special.cs.l === 1) {
    require(isCanonical(rip, special), "RIP must be canonical");
  } else {
    require(rip < 2n ** 32n, "RIP must be below 4 GiB outside 64-bit code");
  }
  require((rflags & x86.X86_EFLAGS_RESERVED) === 0n, "RFLAGS: reserved bits must be 0");
  require(has(rflags, x86.X86_EFLAGS_FIXED), "RFLAGS: bit 1 must be 1");
  require(
    !has(rflags, x86.X86_EFLAGS_VM) || (!longMode && has(special.cr0, x86.X86_CR0_PE)),
    "RFLAGS.VM needs protected mode outside long mode",
  );
}

function isLongMode({ efer }: SpecialRegisters): boolean {
  return has(efer, x86.EFER_LMA);
}

/** Whether the upper bits repeat the highest implemented one: 48 bits, 57 with LA57. */
function isCanonical(address: bigint, { cr4 }: SpecialRegisters): boolean {
  const bits = has(cr4, x86.X86_CR4_LA57) ? 57 : 48;
  return BigInt.asUintN(64, BigInt.asIntN(bits, address)) === address;
}

/** A limit with a 0 in its low 12 bits counts bytes, one with a 1 in its high 12 bits counts pages. */
function granularityFits({ limit, g }: Segment): boolean {
  const byteGranular = limit % 0x1000 !== 0xfff;
  const pageGranular = limit >= 0x100000;
  return g === 1 ? !byteGranular : !pageGranular;
}

function has(value: bigint, bit: bigint): boolean {
  return (value & bit) !== 0n;
}
