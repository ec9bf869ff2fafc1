/**
 * A virtual processor's descriptor.
 *
 * Every ioctl here waits as long as another thread has this vCPU in KVM_RUN, HLT included: they are for its own worker, or for
 * before it runs.
 *
 * @module
 */

import { KERNEL_SIGSET_SIZE } from "../abi/linux.ts";
import {
  KvmFpu,
  KvmLapicState,
  KvmMpState,
  KvmMsrEntry,
  KvmMsrs,
  KvmRegs,
  KvmSignalMask,
  KvmSregs,
} from "../abi/kvm.ts";
import type { CpuidEntry, FpuState, Msr, Registers, SpecialRegisters } from "../abi/x86.ts";
import { VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { type Mapping, viewAt } from "../host/mapping.ts";
import type { PlainThread } from "../host/plain_thread.ts";
import { CoalescedRing } from "./coalesced_ring.ts";
import { decodeCpuid, encodeCpuid } from "./cpuid_block.ts";
import { KvmDescriptor } from "./descriptor.ts";
import { hostDriver, type KvmDriver } from "./driver.ts";
import { Exit } from "./exit.ts";
import {
  decodeRegisters,
  decodeSpecialRegisters,
  encodeRegisters,
  encodeSpecialRegisters,
} from "./register_block.ts";

/** A vCPU that another isolate made, as plain data. */
export interface VcpuDescriptor {
  /** Its APIC id. */
  readonly id: number;
  /** Descriptor's number. */
  readonly fd: number;
  /** Where the owner mapped its kvm_run pages. */
  readonly runAddress: number;
  /** Their size in bytes. */
  readonly runSize: number;
  /** Offset in them of the ring of coalesced writes, or 0 without one. */
  readonly ringOffset: number;
}

/** One vCPU. The isolate that runs it is not the one that makes it: the number of its descriptor travels. */
export class Vcpu extends KvmDescriptor {
  /** Its APIC id. */
  readonly id: number;
  #mapping: Mapping | undefined;
  #exit: Exit | undefined;
  #coalesced: CoalescedRing | undefined;
  #ringOffset = 0;

  /**
   * A vCPU by its descriptor.
   *
   * @param options `id`: its APIC id; `owned`: whether dispose closes it
   */
  constructor(
    driver: KvmDriver,
    fd: number,
    options: { readonly id: number; readonly owned?: boolean },
  ) {
    super(driver, fd, options.owned ?? true);
    this.id = options.id;
  }

  /** The same vCPU in another isolate; its owner keeps it open and mapped until this isolate has ended. */
  static borrow(descriptor: VcpuDescriptor, driver: KvmDriver = hostDriver): Vcpu {
    const vcpu = new Vcpu(driver, descriptor.fd, { id: descriptor.id, owned: false });
    vcpu.#see(viewAt(descriptor.runAddress, descriptor.runSize), descriptor.ringOffset);
    return vcpu;
  }

  /**
   * Maps the pages shared with the kernel; needed before {@linkcode exit} and {@linkcode describe}.
   *
   * @param size as {@linkcode Kvm.vcpuMapSize} says
   * @param ringOffset of the ring of coalesced writes in them, as {@linkcode Vm.ringOffset} says; 0 without one
   */
  mapRun(size: number, ringOffset = 0): void {
    this.#mapping = this.driver.mapVcpu(this.fd, size);
    this.#see(this.#mapping.buffer(), ringOffset);
  }

  #see(pages: ArrayBuffer, ringOffset: number): void {
    this.#exit = new Exit(pages);
    this.#ringOffset = ringOffset;
    this.#coalesced = ringOffset === 0 ? undefined : new CoalescedRing(pages, ringOffset);
  }

  /** Writes that KVM has coalesced instead of leaving KVM_RUN; undefined where it can't. */
  get coalesced(): CoalescedRing | undefined {
    return this.#coalesced;
  }

  /** What another isolate needs to {@linkcode borrow} it. */
  describe(): VcpuDescriptor {
    const mapping = this.#mapping;
    if (!mapping) throw new VireoError("internal", `Cannot describe vCPU ${this.id}: not mapped`);
    return {
      id: this.id,
      fd: this.fd,
      runAddress: mapping.address,
      runSize: mapping.size,
      ringOffset: this.#ringOffset,
    };
  }

  /** Why KVM_RUN came back. */
  get exit(): Exit {
    if (!this.#exit) {
      throw new VireoError("internal", `Cannot see exits of vCPU ${this.id}: not mapped`);
    }
    return this.#exit;
  }

  /** Lets the guest run until it exits: 0, or a negative errno: `-EINTR` after a kick. Allocates nothing. */
  run(): number {
    return this.driver.run(this.fd);
  }

  /** The same, once, in a thread of its own: why it exits is seen when {@linkcode endThread} has come back. */
  runApart(): PlainThread {
    return this.driver.runApart(this.fd);
  }

  /** Sets the CPUID that the guest sees; before {@linkcode setMsrs}. */
  setCpuid(entries: readonly CpuidEntry[]): void {
    const context = `Cannot set the CPUID of vCPU ${this.id}`;
    this.control("KVM_SET_CPUID2", context, encodeCpuid(entries));
  }

  /** The CPUID that the guest sees. */
  cpuid(): CpuidEntry[] {
    const bytes = encodeCpuid(new Array<CpuidEntry>(256).fill(UNWRITTEN_CPUID));
    this.control("KVM_GET_CPUID2", `Cannot read the CPUID of vCPU ${this.id}`, bytes);
    // Linux 6.1 leaves the count as it was.
    return decodeCpuid(bytes).filter((entry) => entry.function !== UNWRITTEN_CPUID.function);
  }

  /** Sets MSRs in order; the error names the one that KVM refused. */
  setMsrs(msrs: readonly Msr[]): void {
    const bytes = encodeMsrs(msrs);
    const count = this.control("KVM_SET_MSRS", `Cannot set MSRs of vCPU ${this.id}`, bytes);
    this.#refuseMsr("set", msrs[count]);
  }

  /** Reads MSRs; the error names the one that KVM does not have. */
  msrs(indices: readonly number[]): Msr[] {
    const asked = indices.map((index) => ({ index, data: 0n }));
    const bytes = encodeMsrs(asked);
    const count = this.control("KVM_GET_MSRS", `Cannot read MSRs of vCPU ${this.id}`, bytes);
    this.#refuseMsr("read", asked[count]);
    const view = new DataView(bytes.buffer);
    return asked.map(({ index }, i) => {
      const at = sizeof(KvmMsrs) + i * sizeof(KvmMsrEntry) + KvmMsrEntry.data;
      return { index, data: view.getBigUint64(at, true) };
    });
  }

  #refuseMsr(verb: string, msr: Msr | undefined): void {
    if (!msr) return;
    throw new VireoError(
      "unsupported",
      `Cannot ${verb} MSR 0x${msr.index.toString(16)} of vCPU ${this.id}: KVM refused ` +
        (verb === "set" ? `the value 0x${msr.data.toString(16)}` : "it"),
    );
  }

  /** The general registers. */
  registers(): Registers {
    const bytes = new Uint8Array(sizeof(KvmRegs));
    this.control("KVM_GET_REGS", `Cannot read registers of vCPU ${this.id}`, bytes);
    return decodeRegisters(bytes);
  }

  /** Sets the general registers. */
  setRegisters(registers: Registers): void {
    const context = `Cannot set registers of vCPU ${this.id}`;
    this.control("KVM_SET_REGS", context, encodeRegisters(registers));
  }

  /** Segments, descriptor tables and control registers. */
  specialRegisters(): SpecialRegisters {
    return decodeSpecialRegisters(this.#sregs());
  }

  /** Sets segments, descriptor tables and control registers; a pending interrupt stays. */
  setSpecialRegisters(registers: SpecialRegisters): void {
    const bytes = this.#sregs();
    encodeSpecialRegisters(bytes, registers);
    this.control("KVM_SET_SREGS", `Cannot set special registers of vCPU ${this.id}`, bytes);
  }

  #sregs(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeof(KvmSregs));
    this.control("KVM_GET_SREGS", `Cannot read special registers of vCPU ${this.id}`, bytes);
    return bytes;
  }

  /** Sets the control words of x87 and SSE; their data registers become zero. */
  setFpu(state: FpuState): void {
    const bytes = new Uint8Array(sizeof(KvmFpu));
    const view = new DataView(bytes.buffer);
    view.setUint16(KvmFpu.fcw, state.fcw, true);
    view.setUint32(KvmFpu.mxcsr, state.mxcsr, true);
    this.control("KVM_SET_FPU", `Cannot set the FPU of vCPU ${this.id}`, bytes);
  }

  /** The local APIC's register page, 16 bytes a register. */
  lapic(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeof(KvmLapicState));
    this.control("KVM_GET_LAPIC", `Cannot read the local APIC of vCPU ${this.id}`, bytes);
    return bytes;
  }

  /** Sets the local APIC's register page. */
  setLapic(page: Uint8Array<ArrayBuffer>): void {
    this.control("KVM_SET_LAPIC", `Cannot set the local APIC of vCPU ${this.id}`, page);
  }

  /** `KVM_MP_STATE_*`: whether it runs, halts, or waits for INIT or SIPI. */
  mpState(): number {
    const bytes = new Uint8Array(sizeof(KvmMpState));
    this.control("KVM_GET_MP_STATE", `Cannot read the run state of vCPU ${this.id}`, bytes);
    return new DataView(bytes.buffer).getUint32(KvmMpState.mp_state, true);
  }

  /** Sets `KVM_MP_STATE_*`. */
  setMpState(state: number): void {
    const bytes = new Uint8Array(sizeof(KvmMpState));
    new DataView(bytes.buffer).setUint32(KvmMpState.mp_state, state, true);
    this.control("KVM_SET_MP_STATE", `Cannot set the run state of vCPU ${this.id}`, bytes);
  }

  /**
   * The signals that stay blocked while this vCPU is in KVM_RUN, instead of its thread's own.
   *
   * @param mask the kernel's `sigset_t`, 8 bytes: bit n is signal n + 1
   */
  setSignalMask(mask: Uint8Array): void {
    const bytes = new Uint8Array(sizeof(KvmSignalMask) + KERNEL_SIGSET_SIZE);
    new DataView(bytes.buffer).setUint32(KvmSignalMask.len, KERNEL_SIGSET_SIZE, true);
    bytes.set(mask.subarray(0, KERNEL_SIGSET_SIZE), sizeof(KvmSignalMask));
    this.control("KVM_SET_SIGNAL_MASK", `Cannot set the signal mask of vCPU ${this.id}`, bytes);
  }

  /** Frequency of the guest's TSC in kHz, 0 where KVM does not know it. */
  tscKhz(): number {
    return Math.max(0, this.tryControl("KVM_GET_TSC_KHZ"));
  }

  /** Sets the frequency of the guest's TSC; fails where the host can't scale it. */
  setTscKhz(khz: number): void {
    this.control("KVM_SET_TSC_KHZ", `Cannot set the TSC of vCPU ${this.id} to ${khz} kHz`, khz);
  }

  /** Sends a non-maskable interrupt. */
  nmi(): void {
    this.control("KVM_NMI", `Cannot send an NMI to vCPU ${this.id}`);
  }

  /** A descriptor of this vCPU's counters; to be opened before its first run. The caller closes it. */
  statsFd(): number {
    return this.control("KVM_GET_STATS_FD", `Cannot open the statistics of vCPU ${this.id}`);
  }

  /** Unmaps and closes it where it is owned, after its worker has ended. */
  override [Symbol.dispose](): void {
    this.#mapping?.[Symbol.dispose]();
    this.#mapping = undefined;
    this.#exit = undefined;
    this.#coalesced = undefined;
    super[Symbol.dispose]();
  }
}

/** Marks a place that the kernel has not filled: no processor has this leaf. */
const UNWRITTEN_CPUID: CpuidEntry = {
  function: 0xffffffff,
  index: 0,
  flags: 0,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
};

function encodeMsrs(msrs: readonly Msr[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeof(KvmMsrs) + msrs.length * sizeof(KvmMsrEntry));
  const view = new DataView(bytes.buffer);
  view.setUint32(KvmMsrs.nmsrs, msrs.length, true);
  msrs.forEach((msr, i) => {
    const at = sizeof(KvmMsrs) + i * sizeof(KvmMsrEntry);
    view.setUint32(at + KvmMsrEntry.index, msr.index, true);
    view.setBigUint64(at + KvmMsrEntry.data, msr.data, true);
  });
  return bytes;
}
