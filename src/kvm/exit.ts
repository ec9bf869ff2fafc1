/**
 * Why KVM_RUN came back: a typed view over `struct kvm_run` that allocates nothing.
 *
 * The page is shared with the kernel, which writes it only while this vCPU's thread is inside KVM_RUN; no lock is needed.
 *
 * @module
 */

import {
  KVM_EXIT_IO_OUT,
  KVM_INTERNAL_ERROR_EMULATION,
  KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
  KvmExitEmulationFailure,
  KvmExitFailEntry,
  KvmExitInternal,
  KvmExitIo,
  KvmExitMmio,
  KvmExitMsr,
  KvmExitSystemEvent,
  KvmExitUnknown,
  KvmRun,
} from "../abi/kvm.ts";

const IO = KvmRun.exit;
const IO_DIRECTION = IO + KvmExitIo.direction;
const IO_SIZE = IO + KvmExitIo.size;
const IO_PORT = IO + KvmExitIo.port;
const IO_COUNT = IO + KvmExitIo.count;
const IO_DATA = IO + KvmExitIo.data_offset;

const MMIO = KvmRun.exit;
const MMIO_ADDRESS = MMIO + KvmExitMmio.phys_addr;
const MMIO_DATA = MMIO + KvmExitMmio.data;
const MMIO_LENGTH = MMIO + KvmExitMmio.len;
const MMIO_WRITE = MMIO + KvmExitMmio.is_write;

/** One vCPU's exits, read in place. Each group of members is valid only for its exit reason. */
export class Exit {
  readonly #view: DataView;
  /** What every exit is looked at through: quicker than a DataView, whose buffer is checked at each access. */
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;

  /**
   * The exits of one vCPU.
   *
   * @param run the vCPU's kvm_run pages, kept mapped as long as this object is used
   */
  constructor(run: ArrayBuffer) {
    this.#view = new DataView(run);
    this.#words = new Uint32Array(run);
    this.#halves = new Uint16Array(run);
    this.#bytes = new Uint8Array(run);
  }

  /** `KVM_EXIT_*`. */
  get reason(): number {
    return this.#words[KvmRun.exit_reason / 4] ?? 0;
  }

  /**
   * Makes KVM_RUN finish a pending access and come back with EINTR instead of entering the guest. Set by any thread before
   * its kick, cleared by the vCPU's own after it has looked at its control word.
   */
  set immediateExit(value: boolean) {
    this.#view.setUint8(KvmRun.immediate_exit, value ? 1 : 0);
  }

  /** Whether the next KVM_RUN comes back at once. */
  get immediateExit(): boolean {
    return this.#view.getUint8(KvmRun.immediate_exit) !== 0;
  }

  /** Whether the guest had interrupts on (`RFLAGS.IF`) at the last exit. */
  get interruptsEnabled(): boolean {
    return this.#view.getUint8(KvmRun.if_flag) !== 0;
  }

  // KVM_EXIT_IO

  /** The port, 0 to 0xffff. */
  get port(): number {
    return this.#halves[IO_PORT / 2] ?? 0;
  }

  /** Bytes of each access: 1, 2 or 4. */
  get portSize(): number {
    return this.#bytes[IO_SIZE] ?? 0;
  }

  /** Accesses in this exit: more than 1 for `rep ins` and `rep outs`. */
  get portCount(): number {
    return this.#words[IO_COUNT / 4] ?? 0;
  }

  /** Whether the guest writes. */
  get portWrite(): boolean {
    return this.#bytes[IO_DIRECTION] === KVM_EXIT_IO_OUT;
  }

  /** What the guest wrote with access `index`; 4 bytes are signed: see {@linkcode BusDevice.write}. */
  portValue(index: number): number {
    const size = this.portSize;
    const at = (this.#words[IO_DATA / 4] ?? 0) + index * size;
    if (size === 1) return this.#bytes[at] ?? 0;
    if (size === 2) return this.#view.getUint16(at, true);
    return this.#view.getInt32(at, true);
  }

  /** What the guest gets from access `index`; bits above its size are cut off. */
  setPortValue(index: number, value: number): void {
    const size = this.portSize;
    const at = (this.#words[IO_DATA / 4] ?? 0) + index * size;
    if (size === 1) this.#bytes[at] = value;
    else if (size === 2) this.#view.setUint16(at, value, true);
    else this.#view.setUint32(at, value, true);
  }

  // KVM_EXIT_MMIO

  /** Guest physical address. */
  get memoryAddress(): number {
    const low = this.#words[MMIO_ADDRESS / 4] ?? 0;
    return low + (this.#words[MMIO_ADDRESS / 4 + 1] ?? 0) * 0x1_0000_0000;
  }

  /** Bytes, 1 to 8: an access that crosses a page comes in odd pieces. */
  get memorySize(): number {
    return this.#words[MMIO_LENGTH / 4] ?? 0;
  }

  /** Whether the guest writes. */
  get memoryWrite(): boolean {
    return this.#bytes[MMIO_WRITE] !== 0;
  }

  /** What the guest wrote, for 1, 2 or 4 bytes; 4 bytes are signed: see {@linkcode BusDevice.write}. */
  get memoryValue(): number {
    const size = this.memorySize;
    if (size === 4) return this.#view.getInt32(MMIO_DATA, true);
    if (size === 1) return this.#view.getUint8(MMIO_DATA);
    return this.#view.getUint16(MMIO_DATA, true);
  }

  /** What the guest reads, for 1, 2 or 4 bytes; bits above its size are cut off. */
  set memoryValue(value: number) {
    this.#words[MMIO_DATA / 4] = value;
  }

  /** What the guest wrote or reads with 8 bytes. Allocates: 8-byte accesses are rare. */
  get memoryWideValue(): bigint {
    return this.#view.getBigUint64(MMIO_DATA, true);
  }

  set memoryWideValue(value: bigint) {
    this.#view.setBigUint64(MMIO_DATA, value, true);
  }

  /** One byte of an access of an odd size. */
  memoryByte(index: number): number {
    return this.#view.getUint8(MMIO_DATA + index);
  }

  /** Sets one byte that the guest reads. */
  setMemoryByte(index: number, value: number): void {
    this.#view.setUint8(MMIO_DATA + index, value);
  }

  // The others

  /** KVM_EXIT_INTERNAL_ERROR: which one. */
  get suberror(): number {
    return this.#view.getUint32(KvmRun.exit + KvmExitInternal.suberror, true);
  }

  /** KVM_EXIT_INTERNAL_ERROR: the kernel's own data, for an error's text. */
  internalData(): bigint[] {
    const at = KvmRun.exit + KvmExitInternal.data;
    const count = Math.min(this.#view.getUint32(KvmRun.exit + KvmExitInternal.ndata, true), 16);
    return Array.from({ length: count }, (_, i) => this.#view.getBigUint64(at + i * 8, true));
  }

  /** KVM_EXIT_INTERNAL_ERROR of emulation: the instruction's bytes, where the kernel gives them. */
  instructionBytes(): Uint8Array {
    const at = KvmRun.exit;
    const flags = this.#view.getUint32(at + KvmExitEmulationFailure.flags, true);
    const ndata = this.#view.getUint32(at + KvmExitEmulationFailure.ndata, true);
    // bits: flags of the exit.
    const hasBytes = (flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) !== 0;
    const given = this.suberror === KVM_INTERNAL_ERROR_EMULATION && ndata >= 3 && hasBytes;
    if (!given) return new Uint8Array(0);
    const size = Math.min(this.#view.getUint8(at + KvmExitEmulationFailure.insn_size), 15);
    const start = at + KvmExitEmulationFailure.insn_bytes;
    return new Uint8Array(this.#view.buffer, start, size).slice();
  }

  /** KVM_EXIT_FAIL_ENTRY: the processor's reason. */
  get entryFailureReason(): bigint {
    const at = KvmRun.exit + KvmExitFailEntry.hardware_entry_failure_reason;
    return this.#view.getBigUint64(at, true);
  }

  /** KVM_EXIT_UNKNOWN: the processor's exit code. */
  get hardwareReason(): bigint {
    return this.#view.getBigUint64(KvmRun.exit + KvmExitUnknown.hardware_exit_reason, true);
  }

  /** KVM_EXIT_SYSTEM_EVENT: `KVM_SYSTEM_EVENT_*`. */
  get systemEvent(): number {
    return this.#view.getUint32(KvmRun.exit + KvmExitSystemEvent.type, true);
  }

  /** KVM_EXIT_X86_RDMSR and WRMSR: the register. */
  get msrIndex(): number {
    return this.#view.getUint32(KvmRun.exit + KvmExitMsr.index, true);
  }
}
