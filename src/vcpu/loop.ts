/**
 * The vCPU's loop: run, look at the exit, answer it from the board, run again. Nothing here allocates, makes a closure or a
 * BigInt, but for 8-byte MMIO.
 *
 * @module
 */

import {
  KVM_EXIT_HLT,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_MP_STATE_HALTED,
  KVM_MP_STATE_INIT_RECEIVED,
  KVM_MP_STATE_UNINITIALIZED,
} from "../abi/kvm.ts";
import { EAGAIN, EINTR } from "../abi/linux.ts";
import { X86_EFLAGS_IF } from "../abi/x86.ts";
import { errnoText } from "../base/errors.ts";
import { drainKicks } from "../host/thread.ts";
import type { Exit } from "../kvm/exit.ts";
import { describeExit } from "../kvm/exit_text.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Board } from "./board.ts";
import type { CoalescedWrites } from "./coalesced_writes.ts";
import { type VcpuControl, VcpuState, Wanted } from "./control.ts";
import { endHeadStart } from "./head_start.ts";
import type { EndCause } from "./messages.ts";

/** Why the loop ended, when it was the guest's or KVM's doing. */
export interface LoopEnd {
  readonly cause: EndCause;
  readonly detail: number;
  readonly text: string;
}

/** What the loop works with. */
export interface LoopParts {
  readonly vcpu: Vcpu;
  readonly board: Board;
  readonly control: VcpuControl;
  /** Writes that come before any exit that they come with; absent where KVM coalesces none. */
  readonly coalesced?: CoalescedWrites | undefined;
  /** What a device asked for during this vCPU's exit, if anything. */
  readonly ended: () => LoopEnd | undefined;
  /** The thread of the vCPU's head start, whose exit is the first to answer. */
  readonly headStart?: bigint | undefined;
}

/**
 * Runs a vCPU until a stop is wanted (undefined) or something ends the machine.
 *
 * What the owner wants is looked at after EINTR alone: every request comes with a kick, which sets `immediate_exit` first and
 * so makes the next KVM_RUN give EINTR however the two race, and KVM has completed the last exit's instruction by then.
 */
export function runVcpu(
  { vcpu, board, control, coalesced, ended, headStart }: LoopParts,
): LoopEnd | undefined {
  const exit = vcpu.exit;
  control.enter(VcpuState.running);
  const begun = headStart === undefined ? undefined : endHeadStart(vcpu, control, headStart);
  for (let result = begun ?? vcpu.run();; result = vcpu.run()) {
    if (board.stale) board.refresh();
    if (coalesced !== undefined) coalesced.drain();
    if (result === -EINTR) {
      if (!attend(vcpu, control, false)) return undefined;
      continue;
    }
    if (result === -EAGAIN) continue;
    if (result < 0) return kvmError(vcpu, result);
    switch (exit.reason) {
      case KVM_EXIT_IO:
        answerIo(exit, board);
        break;
      case KVM_EXIT_MMIO:
        answerMmio(exit, board);
        break;
      case KVM_EXIT_INTR:
        break;
      case KVM_EXIT_HLT:
        return atHalt(vcpu, control);
      case KVM_EXIT_SHUTDOWN:
        return { cause: "triple-fault", detail: 0, text: describeVcpu(vcpu) };
      default:
        return kvmError(vcpu, 0);
    }
    const end = ended();
    if (end !== undefined) return end;
  }
}

/**
 * Does what the owner wants: says whether the vCPU has halted, parks for a pause, and says false for a stop. The flag goes down
 * before the look at what is wanted, so that a kick from now on is seen by the next KVM_RUN.
 *
 * @param atHalt whether the vCPU is known to have halted
 */
function attend(vcpu: Vcpu, control: VcpuControl, atHalt: boolean): boolean {
  vcpu.exit.immediateExit = false;
  drainKicks();
  if (control.isAsked) control.reply(control.question, atHalt || hasHalted(vcpu));
  if (wants(control, Wanted.pause)) {
    control.enter(VcpuState.paused);
    control.waitWhilePaused();
    if (wants(control, Wanted.run)) control.enter(VcpuState.running);
  }
  return !wants(control, Wanted.stop);
}

/** Whether nothing that a guest's vCPU does can wake this one: at HLT with interrupts off, or before its INIT and SIPI. */
function hasHalted(vcpu: Vcpu): boolean {
  switch (vcpu.mpState()) {
    case KVM_MP_STATE_UNINITIALIZED:
    case KVM_MP_STATE_INIT_RECEIVED:
      return true;
    case KVM_MP_STATE_HALTED:
      // bits: a flag of rflags
      return (vcpu.registers().rflags & X86_EFLAGS_IF) === 0n;
    default:
      return false;
  }
}

/** HLT without an interrupt controller: nothing ends it but the owner's stop. */
function atHalt(vcpu: Vcpu, control: VcpuControl): undefined {
  do control.waitForRequest(); while (attend(vcpu, control, true));
}

/** What is wanted changes under our eyes; asked by a function, the compiler does not take it for what it was before. */
function wants(control: VcpuControl, what: Wanted): boolean {
  return control.wanted === what;
}

/** Port I/O: many elements for a string instruction, one otherwise. */
function answerIo(exit: Exit, board: Board): void {
  const { port, portSize, portCount } = exit;
  if (exit.portWrite) {
    for (let i = 0; i < portCount; i++) board.ports.write(port, portSize, exit.portValue(i));
  } else {
    for (let i = 0; i < portCount; i++) exit.setPortValue(i, board.ports.read(port, portSize));
  }
}

function answerMmio(exit: Exit, board: Board): void {
  const { memoryAddress: address, memorySize: size } = exit;
  if (size === 4 || size === 1 || size === 2) {
    if (exit.memoryWrite) board.memory.write(address, size, exit.memoryValue);
    else exit.memoryValue = board.memory.read(address, size);
  } else if (size === 8) {
    if (exit.memoryWrite) board.memory.writeWide(address, exit.memoryWideValue);
    else exit.memoryWideValue = board.memory.readWide(address);
  } else {
    answerOddMmio(exit, board, address, size);
  }
}

/** An access that crosses a page reaches us in pieces of any size: byte by byte is what a bus of bytes would see. */
function answerOddMmio(exit: Exit, board: Board, address: number, size: number): void {
  for (let i = 0; i < size; i++) {
    if (exit.memoryWrite) board.memory.write(address + i, 1, exit.memoryByte(i));
    else exit.setMemoryByte(i, board.memory.read(address + i, 1));
  }
}

/** An exit that nobody handles, or an errno that KVM_RUN should never give. */
function kvmError(vcpu: Vcpu, result: number): LoopEnd {
  const text = result < 0
    ? `KVM_RUN: ${errnoText(-result)}, ${describeVcpu(vcpu)}`
    : describeVcpu(vcpu);
  return { cause: "kvm-error", detail: -result, text };
}

/** The last exit in words, with the guest's rip where KVM still tells it. */
export function describeVcpu(vcpu: Vcpu): string {
  try {
    return describeExit(vcpu.exit, vcpu.registers().rip);
  } catch {
    return describeExit(vcpu.exit);
  }
}
