/**
 * Our layouts of Linux' and KVM's structs beside their C names.
 *
 * @module
 */

import * as kvm from "../../src/abi/kvm.ts";
import * as linux from "../../src/abi/linux.ts";
import type { LayoutPair } from "../support/c_layout.ts";

/** A member of `struct kvm_run`'s union, as a type. */
const exitType = (member: string) => `__typeof__(((struct kvm_run *)0)->${member})`;

/** Structs of `linux/kvm.h`. */
export const KVM_PAIRS: readonly LayoutPair[] = [
  { c: "struct kvm_regs", layout: kvm.KvmRegs },
  { c: "struct kvm_segment", layout: kvm.KvmSegment },
  { c: "struct kvm_dtable", layout: kvm.KvmDtable },
  { c: "struct kvm_sregs", layout: kvm.KvmSregs },
  { c: "struct kvm_fpu", layout: kvm.KvmFpu },
  { c: "struct kvm_lapic_state", layout: kvm.KvmLapicState },
  { c: "struct kvm_msr_entry", layout: kvm.KvmMsrEntry },
  { c: "struct kvm_msrs", layout: kvm.KvmMsrs },
  { c: "struct kvm_msr_list", layout: kvm.KvmMsrList },
  { c: "struct kvm_cpuid_entry2", layout: kvm.KvmCpuidEntry2 },
  { c: "struct kvm_cpuid2", layout: kvm.KvmCpuid2 },
  { c: "struct kvm_clock_data", layout: kvm.KvmClockData },
  { c: "struct kvm_pit_config", layout: kvm.KvmPitConfig },
  { c: "struct kvm_userspace_memory_region", layout: kvm.KvmUserspaceMemoryRegion },
  { c: "struct kvm_dirty_log", layout: kvm.KvmDirtyLog },
  { c: "struct kvm_irq_level", layout: kvm.KvmIrqLevel },
  { c: "struct kvm_irqfd", layout: kvm.KvmIrqfd },
  { c: "struct kvm_ioeventfd", layout: kvm.KvmIoeventfd },
  { c: "struct kvm_coalesced_mmio_zone", layout: kvm.KvmCoalescedMmioZone },
  { c: "struct kvm_coalesced_mmio", layout: kvm.KvmCoalescedMmio },
  { c: "struct kvm_coalesced_mmio_ring", layout: kvm.KvmCoalescedMmioRing },
  { c: "struct kvm_irq_routing", layout: kvm.KvmIrqRouting },
  { c: "struct kvm_irq_routing_irqchip", layout: kvm.KvmIrqRoutingIrqchip },
  { c: "struct kvm_irq_routing_msi", layout: kvm.KvmIrqRoutingMsi },
  { c: "struct kvm_irq_routing_entry", layout: kvm.KvmIrqRoutingEntry },
  { c: "struct kvm_msi", layout: kvm.KvmMsi },
  { c: "struct kvm_enable_cap", layout: kvm.KvmEnableCap },
  { c: "struct kvm_mp_state", layout: kvm.KvmMpState },
  { c: "struct kvm_signal_mask", layout: kvm.KvmSignalMask },
  { c: "struct kvm_run", layout: kvm.KvmRun, renamed: { exit: "hw" } },
  { c: exitType("io"), layout: kvm.KvmExitIo },
  { c: exitType("mmio"), layout: kvm.KvmExitMmio },
  { c: exitType("fail_entry"), layout: kvm.KvmExitFailEntry },
  { c: exitType("internal"), layout: kvm.KvmExitInternal },
  { c: exitType("emulation_failure"), layout: kvm.KvmExitEmulationFailure },
  { c: exitType("system_event"), layout: kvm.KvmExitSystemEvent },
  { c: exitType("msr"), layout: kvm.KvmExitMsr },
  { c: exitType("hw"), layout: kvm.KvmExitUnknown },
];

/** Structs of Linux' other headers. */
export const LINUX_PAIRS: readonly LayoutPair[] = [
  { c: "struct statx_timestamp", layout: linux.StatxTimestamp },
  { c: "struct statx", layout: linux.Statx },
  {
    c: "struct epoll_event",
    layout: linux.EpollEvent,
    renamed: { data_lo: "data", data_hi: null },
  },
  { c: "struct pollfd", layout: linux.Pollfd },
  { c: "struct timespec", layout: linux.Timespec },
  { c: "struct itimerspec", layout: linux.Itimerspec },
  { c: "stack_t", layout: linux.StackT },
  { c: "ucontext_t", layout: linux.UcontextT },
  { c: "struct iovec", layout: linux.Iovec },
  { c: "struct statfs", layout: linux.Statfs },
  { c: "struct rlimit", layout: linux.Rlimit },
  { c: "struct sockaddr_un", layout: linux.SockaddrUn },
  { c: "struct termios", layout: linux.Termios },
  { c: "struct io_sqring_offsets", layout: linux.IoSqringOffsets },
  { c: "struct io_cqring_offsets", layout: linux.IoCqringOffsets },
  { c: "struct io_uring_params", layout: linux.IoUringParams },
  { c: "struct io_uring_sqe", layout: linux.IoUringSqe, renamed: { op_flags: "fsync_flags" } },
  { c: "struct io_uring_cqe", layout: linux.IoUringCqe },
];

/** Where the structs above are. */
export const HEADERS = [
  "linux/kvm.h",
  "linux/stat.h",
  "linux/io_uring.h",
  "sys/epoll.h",
  "poll.h",
  "sys/timerfd.h",
  "ucontext.h",
  "sys/uio.h",
  "sys/ioctl.h",
  "asm/termbits.h",
  "sys/vfs.h",
  "sys/resource.h",
  "sys/un.h",
];
