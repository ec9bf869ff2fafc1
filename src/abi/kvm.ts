/**
 * KVM's own constants and C layouts on x86-64 (`linux/kvm.h`, `asm/kvm.h`; meanings in the kernel's
 * Documentation/virt/kvm/api.rst). Ioctl numbers are computed from the layouts' sizes.
 *
 * @module
 */

import { type Shape, sizeof, struct } from "../base/struct.ts";

/** The only API version there ever was. */
export const KVM_API_VERSION = 12;

/** `struct kvm_regs`. */
export const KvmRegs = struct({
  rax: "u64",
  rbx: "u64",
  rcx: "u64",
  rdx: "u64",
  rsi: "u64",
  rdi: "u64",
  rsp: "u64",
  rbp: "u64",
  r8: "u64",
  r9: "u64",
  r10: "u64",
  r11: "u64",
  r12: "u64",
  r13: "u64",
  r14: "u64",
  r15: "u64",
  rip: "u64",
  rflags: "u64",
});

/** `struct kvm_segment`. */
export const KvmSegment = struct({
  base: "u64",
  limit: "u32",
  selector: "u16",
  type: "u8",
  present: "u8",
  dpl: "u8",
  db: "u8",
  s: "u8",
  l: "u8",
  g: "u8",
  avl: "u8",
  unusable: "u8",
  padding: "u8",
});

/** `struct kvm_dtable`. */
export const KvmDtable = struct({ base: "u64", limit: "u16", padding: ["u16", 3] });

/** `struct kvm_sregs`. */
export const KvmSregs = struct({
  cs: KvmSegment,
  ds: KvmSegment,
  es: KvmSegment,
  fs: KvmSegment,
  gs: KvmSegment,
  ss: KvmSegment,
  tr: KvmSegment,
  ldt: KvmSegment,
  gdt: KvmDtable,
  idt: KvmDtable,
  cr0: "u64",
  cr2: "u64",
  cr3: "u64",
  cr4: "u64",
  cr8: "u64",
  efer: "u64",
  apic_base: "u64",
  interrupt_bitmap: ["u64", 4],
});

/** `struct kvm_fpu`. */
export const KvmFpu = struct({
  fpr: ["u8", 128],
  fcw: "u16",
  fsw: "u16",
  ftwx: "u8",
  pad1: "u8",
  last_opcode: "u16",
  last_ip: "u64",
  last_dp: "u64",
  xmm: ["u8", 256],
  mxcsr: "u32",
  pad2: "u32",
});

/** `struct kvm_lapic_state`: the local APIC's register page, 16 bytes a register. */
export const KvmLapicState = struct({ regs: ["u8", 0x400] });

/** `struct kvm_msr_entry`. */
export const KvmMsrEntry = struct({ index: "u32", reserved: "u32", data: "u64" });

/** `struct kvm_msrs`, before its entries. */
export const KvmMsrs = struct({ nmsrs: "u32", pad: "u32" });

/** `struct kvm_msr_list`, before its indices. */
export const KvmMsrList = struct({ nmsrs: "u32" });

/** `struct kvm_cpuid_entry2`. */
export const KvmCpuidEntry2 = struct({
  function: "u32",
  index: "u32",
  flags: "u32",
  eax: "u32",
  ebx: "u32",
  ecx: "u32",
  edx: "u32",
  padding: ["u32", 3],
});

/** `struct kvm_cpuid2`, before its entries. */
export const KvmCpuid2 = struct({ nent: "u32", padding: "u32" });

/** `struct kvm_clock_data`. */
export const KvmClockData = struct({
  clock: "u64",
  flags: "u32",
  pad0: "u32",
  realtime: "u64",
  host_tsc: "u64",
  pad: ["u32", 4],
});

/** `struct kvm_pit_config`. */
export const KvmPitConfig = struct({ flags: "u32", pad: ["u32", 15] });
/** Port 0x61 is answered by the kernel too. */
export const KVM_PIT_SPEAKER_DUMMY = 1;

/** `struct kvm_userspace_memory_region`. */
export const KvmUserspaceMemoryRegion = struct({
  slot: "u32",
  flags: "u32",
  guest_phys_addr: "u64",
  memory_size: "u64",
  userspace_addr: "u64",
});
export const KVM_MEM_LOG_DIRTY_PAGES = 1;
export const KVM_MEM_READONLY = 2;

/** `struct kvm_dirty_log`. */
export const KvmDirtyLog = struct({ slot: "u32", padding1: "u32", dirty_bitmap: "u64" });

/** `struct kvm_irq_level`. */
export const KvmIrqLevel = struct({ irq: "u32", level: "u32" });

/** `struct kvm_irqfd`. */
export const KvmIrqfd = struct({
  fd: "u32",
  gsi: "u32",
  flags: "u32",
  resamplefd: "u32",
  pad: ["u8", 16],
});
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
export const KVM_IRQFD_FLAG_RESAMPLE = 2;

/** `struct kvm_ioeventfd`. */
export const KvmIoeventfd = struct({
  datamatch: "u64",
  addr: "u64",
  len: "u32",
  fd: "i32",
  flags: "u32",
  pad: ["u8", 36],
});
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
export const KVM_IOEVENTFD_FLAG_PIO = 2;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;

/** `struct kvm_coalesced_mmio_zone`. */
export const KvmCoalescedMmioZone = struct({ addr: "u64", size: "u32", pio: "u32" });

/** `struct kvm_coalesced_mmio`. */
export const KvmCoalescedMmio = struct({
  phys_addr: "u64",
  len: "u32",
  pio: "u32",
  data: ["u8", 8],
});

/** `struct kvm_coalesced_mmio_ring`, before its entries. */
export const KvmCoalescedMmioRing = struct({ first: "u32", last: "u32" });

/** `struct kvm_irq_routing`, before its entries. */
export const KvmIrqRouting = struct({ nr: "u32", flags: "u32" });

/** `struct kvm_irq_routing_irqchip`. */
export const KvmIrqRoutingIrqchip = struct({ irqchip: "u32", pin: "u32" });

/** `struct kvm_irq_routing_msi`. */
export const KvmIrqRoutingMsi = struct({
  address_lo: "u32",
  address_hi: "u32",
  data: "u32",
  devid: "u32",
});

/** `struct kvm_irq_routing_entry`; `u` is the union of the two structs above and others. */
export const KvmIrqRoutingEntry = struct({
  gsi: "u32",
  type: "u32",
  flags: "u32",
  pad: "u32",
  u: ["u64", 4],
});
export const KVM_IRQ_ROUTING_IRQCHIP = 1;
export const KVM_IRQ_ROUTING_MSI = 2;

/** `struct kvm_msi`. */
export const KvmMsi = struct({
  address_lo: "u32",
  address_hi: "u32",
  data: "u32",
  flags: "u32",
  devid: "u32",
  pad: ["u8", 12],
});

/** `struct kvm_enable_cap`. */
export const KvmEnableCap = struct({
  cap: "u32",
  flags: "u32",
  args: ["u64", 4],
  pad: ["u8", 64],
});

/** `struct kvm_mp_state`. */
export const KvmMpState = struct({ mp_state: "u32" });
export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_UNINITIALIZED = 1;
export const KVM_MP_STATE_INIT_RECEIVED = 2;
export const KVM_MP_STATE_HALTED = 3;

/** `struct kvm_signal_mask`, before the kernel's `sigset_t`. */
export const KvmSignalMask = struct({ len: "u32" });

/** `struct kvm_run`; `exit` is the union of the structs below. */
export const KvmRun = struct({
  request_interrupt_window: "u8",
  immediate_exit: "u8",
  padding1: ["u8", 6],
  exit_reason: "u32",
  ready_for_interrupt_injection: "u8",
  if_flag: "u8",
  flags: "u16",
  cr8: "u64",
  apic_base: "u64",
  exit: ["u64", 32],
  kvm_valid_regs: "u64",
  kvm_dirty_regs: "u64",
  s: ["u64", 256],
});

/** `kvm_run.io`. */
export const KvmExitIo = struct({
  direction: "u8",
  size: "u8",
  port: "u16",
  count: "u32",
  data_offset: "u64",
});
export const KVM_EXIT_IO_OUT = 1;

/** `kvm_run.mmio`. */
export const KvmExitMmio = struct({
  phys_addr: "u64",
  data: ["u8", 8],
  len: "u32",
  is_write: "u8",
});

/** `kvm_run.fail_entry`. */
export const KvmExitFailEntry = struct({ hardware_entry_failure_reason: "u64", cpu: "u32" });

/** `kvm_run.internal`. */
export const KvmExitInternal = struct({ suberror: "u32", ndata: "u32", data: ["u64", 16] });

/** `kvm_run.emulation_failure`, which lies over `internal`. */
export const KvmExitEmulationFailure = struct({
  suberror: "u32",
  ndata: "u32",
  flags: "u64",
  insn_size: "u8",
  insn_bytes: ["u8", 15],
});
export const KVM_INTERNAL_ERROR_EMULATION = 1;
export const KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;

/** `kvm_run.system_event`. */
export const KvmExitSystemEvent = struct({ type: "u32", ndata: "u32", data: ["u64", 16] });

/** `kvm_run.msr`. */
export const KvmExitMsr = struct({
  error: "u8",
  pad: ["u8", 7],
  reason: "u32",
  index: "u32",
  data: "u64",
});

/** `kvm_run.hw`. */
export const KvmExitUnknown = struct({ hardware_exit_reason: "u64" });

/** Exit reasons that code decides on; every name is in kvm/exit_text.ts. */
export const KVM_EXIT_UNKNOWN = 0;
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_SYSTEM_EVENT = 24;
export const KVM_EXIT_X86_RDMSR = 29;
export const KVM_EXIT_X86_WRMSR = 30;

const KVMIO = 0xae;

/** `_IO(KVMIO, nr)`: an ioctl without a struct. */
function io(nr: number): number {
  return KVMIO * 2 ** 8 + nr;
}

/** `_IOW`, `_IOR`, `_IOWR`: direction bits 1 = the kernel reads, 2 = it writes, 3 = both. */
function withSize(direction: 1 | 2 | 3, nr: number, size: number): number {
  return direction * 2 ** 30 + size * 2 ** 16 + io(nr);
}

const iow = (nr: number, layout: Shape) => withSize(1, nr, sizeof(layout));
const ior = (nr: number, layout: Shape) => withSize(2, nr, sizeof(layout));
const iowr = (nr: number, layout: Shape) => withSize(3, nr, sizeof(layout));

/** Ioctls by name, on /dev/kvm, on a VM, on a vCPU. */
export const KvmIoctl = {
  KVM_GET_API_VERSION: io(0x00),
  KVM_CREATE_VM: io(0x01),
  KVM_GET_MSR_INDEX_LIST: iowr(0x02, KvmMsrList),
  KVM_CHECK_EXTENSION: io(0x03),
  KVM_GET_VCPU_MMAP_SIZE: io(0x04),
  KVM_GET_SUPPORTED_CPUID: iowr(0x05, KvmCpuid2),

  KVM_CREATE_VCPU: io(0x41),
  KVM_GET_DIRTY_LOG: iow(0x42, KvmDirtyLog),
  KVM_SET_USER_MEMORY_REGION: iow(0x46, KvmUserspaceMemoryRegion),
  KVM_SET_TSS_ADDR: io(0x47),
  KVM_SET_IDENTITY_MAP_ADDR: withSize(1, 0x48, 8),
  KVM_CREATE_IRQCHIP: io(0x60),
  KVM_IRQ_LINE: iow(0x61, KvmIrqLevel),
  KVM_SET_GSI_ROUTING: iow(0x6a, KvmIrqRouting),
  KVM_IRQFD: iow(0x76, KvmIrqfd),
  KVM_REGISTER_COALESCED_MMIO: iow(0x67, KvmCoalescedMmioZone),
  KVM_UNREGISTER_COALESCED_MMIO: iow(0x68, KvmCoalescedMmioZone),
  KVM_CREATE_PIT2: iow(0x77, KvmPitConfig),
  KVM_IOEVENTFD: iow(0x79, KvmIoeventfd),
  KVM_SIGNAL_MSI: iow(0xa5, KvmMsi),
  KVM_ENABLE_CAP: iow(0xa3, KvmEnableCap),

  KVM_RUN: io(0x80),
  KVM_GET_REGS: ior(0x81, KvmRegs),
  KVM_SET_REGS: iow(0x82, KvmRegs),
  KVM_GET_SREGS: ior(0x83, KvmSregs),
  KVM_SET_SREGS: iow(0x84, KvmSregs),
  KVM_GET_MSRS: iowr(0x88, KvmMsrs),
  KVM_SET_MSRS: iow(0x89, KvmMsrs),
  KVM_SET_SIGNAL_MASK: iow(0x8b, KvmSignalMask),
  KVM_GET_FPU: ior(0x8c, KvmFpu),
  KVM_SET_FPU: iow(0x8d, KvmFpu),
  KVM_GET_LAPIC: ior(0x8e, KvmLapicState),
  KVM_SET_LAPIC: iow(0x8f, KvmLapicState),
  KVM_SET_CPUID2: iow(0x90, KvmCpuid2),
  KVM_GET_CPUID2: iowr(0x91, KvmCpuid2),
  KVM_GET_MP_STATE: ior(0x98, KvmMpState),
  KVM_SET_MP_STATE: iow(0x99, KvmMpState),
  KVM_NMI: io(0x9a),
  KVM_SET_TSC_KHZ: io(0xa2),
  KVM_SET_CLOCK: iow(0x7b, KvmClockData),
  KVM_GET_CLOCK: ior(0x7c, KvmClockData),
  KVM_GET_TSC_KHZ: io(0xa3),
  KVM_GET_STATS_FD: io(0xce),
} as const;

/** Name of an ioctl of KVM. */
export type KvmIoctlName = keyof typeof KvmIoctl;
