/**
 * x86-64 as its manuals name it: register files, control bits, CPUID leaves and MSRs. C spelling where Linux or the SDM has
 * a name.
 *
 * @module
 */

/** A vCPU's general registers (SDM vol. 1 §3.4). 64-bit values are bigints: no arithmetic is done on them. */
export interface Registers {
  /** General register RAX. */
  readonly rax: bigint;
  /** General register RBX. */
  readonly rbx: bigint;
  /** General register RCX. */
  readonly rcx: bigint;
  /** General register RDX. */
  readonly rdx: bigint;
  /** General register RSI. */
  readonly rsi: bigint;
  /** General register RDI. */
  readonly rdi: bigint;
  /** Stack pointer. */
  readonly rsp: bigint;
  /** Frame pointer. */
  readonly rbp: bigint;
  /** General register R8. */
  readonly r8: bigint;
  /** General register R9. */
  readonly r9: bigint;
  /** General register R10. */
  readonly r10: bigint;
  /** General register R11. */
  readonly r11: bigint;
  /** General register R12. */
  readonly r12: bigint;
  /** General register R13. */
  readonly r13: bigint;
  /** General register R14. */
  readonly r14: bigint;
  /** General register R15. */
  readonly r15: bigint;
  /** Instruction pointer. */
  readonly rip: bigint;
  /** Flags. */
  readonly rflags: bigint;
}

/** A segment register with its hidden part, field by field as `struct kvm_segment` (SDM vol. 3A §3.4.3). */
export interface Segment {
  /** Linear address. */
  readonly base: bigint;
  /** In bytes, already scaled by granularity: 0xffffffff with `g` 1. */
  readonly limit: number;
  /** What is loaded into the register. */
  readonly selector: number;
  /** The four type bits (SDM vol. 3A table 3-1 and 3-2). */
  readonly type: number;
  /** Whether it is there. */
  readonly present: number;
  /** Privilege level. */
  readonly dpl: number;
  /** Default size: 1 for 32 bits. */
  readonly db: number;
  /** 1 for code and data, 0 for system segments. */
  readonly s: number;
  /** 1 for 64-bit code. */
  readonly l: number;
  /** Granularity: 1 for pages. */
  readonly g: number;
  /** For software. */
  readonly avl: number;
  /** Whether nothing was loaded. */
  readonly unusable: number;
}

/** GDTR or IDTR. */
export interface DescriptorTable {
  /** Linear address. */
  readonly base: bigint;
  /** Size of the table in bytes minus one, at most 0xffff. */
  readonly limit: number;
}

/** Segments, descriptor tables and control registers, as `struct kvm_sregs`. */
export interface SpecialRegisters {
  /** Code. */
  readonly cs: Segment;
  /** Data. */
  readonly ds: Segment;
  /** Extra data. */
  readonly es: Segment;
  /** Thread data. */
  readonly fs: Segment;
  /** Thread data. */
  readonly gs: Segment;
  /** Stack. */
  readonly ss: Segment;
  /** Task register. */
  readonly tr: Segment;
  /** Local descriptor table. */
  readonly ldt: Segment;
  /** Global descriptor table. */
  readonly gdt: DescriptorTable;
  /** Interrupt descriptor table. */
  readonly idt: DescriptorTable;
  /** Paging, protection and FPU. */
  readonly cr0: bigint;
  /** Address of the last page fault. */
  readonly cr2: bigint;
  /** Physical address of the page tables. */
  readonly cr3: bigint;
  /** Extensions. */
  readonly cr4: bigint;
  /** Task priority. */
  readonly cr8: bigint;
  /** Long mode, system calls and NX. */
  readonly efer: bigint;
  /** Where the local APIC is, and whether it is on. */
  readonly apic_base: bigint;
}

/** The control words of x87 and SSE; all data registers are zero at entry. */
export interface FpuState {
  /** x87 control word, 0x37f after FNINIT. */
  readonly fcw: number;
  /** SSE control and status, 0x1f80 after reset. */
  readonly mxcsr: number;
}

/** One model-specific register and its value. */
export interface Msr {
  /** Its number, as in ECX. */
  readonly index: number;
  /** Its 64 bits. */
  readonly data: bigint;
}

/** One CPUID answer, as `struct kvm_cpuid_entry2`. */
export interface CpuidEntry {
  /** Leaf, as in EAX. */
  readonly function: number;
  /** Subleaf, as in ECX. */
  readonly index: number;
  /** {@linkcode KVM_CPUID_FLAG_SIGNIFCANT_INDEX} where ECX chooses a subleaf. */
  readonly flags: number;
  /** Answer in EAX. */
  readonly eax: number;
  /** Answer in EBX. */
  readonly ebx: number;
  /** Answer in ECX. */
  readonly ecx: number;
  /** Answer in EDX. */
  readonly edx: number;
}

/** `kvm_cpuid_entry2.flags`: the entry answers for its subleaf alone (the misspelling is the kernel's). */
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;

// Control registers (SDM vol. 3A §2.5).

/** Protected mode. */
export const X86_CR0_PE = 1n << 0n;
/** WAIT obeys TS. */
export const X86_CR0_MP = 1n << 1n;
/** No x87: every x87 instruction faults. */
export const X86_CR0_EM = 1n << 2n;
/** Task switched: the next x87 instruction faults. */
export const X86_CR0_TS = 1n << 3n;
/** Always 1. */
export const X86_CR0_ET = 1n << 4n;
/** x87 errors as exceptions; VMX wants it set. */
export const X86_CR0_NE = 1n << 5n;
/** The kernel obeys read-only pages too. */
export const X86_CR0_WP = 1n << 16n;
/** Alignment check allowed. */
export const X86_CR0_AM = 1n << 18n;
/** Not write-through; only together with CD. */
export const X86_CR0_NW = 1n << 29n;
/** Caches disabled. */
export const X86_CR0_CD = 1n << 30n;
/** Paging. */
export const X86_CR0_PG = 1n << 31n;

/** 64-bit page table entries; long mode needs it. */
export const X86_CR4_PAE = 1n << 5n;
/** Five-level paging, 57-bit linear addresses. */
export const X86_CR4_LA57 = 1n << 12n;
/** VMX; KVM sets it below the guest by itself. */
export const X86_CR4_VMXE = 1n << 13n;
/** Process-context identifiers, in long mode alone. */
export const X86_CR4_PCIDE = 1n << 17n;
/** Control-flow enforcement; needs CR0.WP. */
export const X86_CR4_CET = 1n << 23n;

/** Every bit of CR0 that means something. */
export const X86_CR0_BITS = X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET |
  X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG;

/** Every bit of CR4 that means something: 0-14, 16-25, 27, 28 and 32 (SDM vol. 3A §2.5). */
export const X86_CR4_BITS = 0x1_1bff_7fffn;

// EFER (SDM vol. 3A §2.2.1, APM vol. 2 §3.1.7).

/** SYSCALL allowed. */
export const EFER_SCE = 1n << 0n;
/** Long mode enabled. */
export const EFER_LME = 1n << 8n;
/** Long mode active: LME and paging. */
export const EFER_LMA = 1n << 10n;
/** No-execute pages. */
export const EFER_NX = 1n << 11n;
/** Every bit of EFER that Intel or AMD defines: SCE, LME, LMA, NX, SVME, LMSLE, FFXSR, TCE, AUTOIBRS. */
export const EFER_BITS = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | 0x20_f000n;

// RFLAGS (SDM vol. 1 §3.4.3).

/** Bit 1, always 1. */
export const X86_EFLAGS_FIXED = 1n << 1n;
/** Interrupts are on. */
export const X86_EFLAGS_IF = 1n << 9n;
/** Virtual-8086 mode. */
export const X86_EFLAGS_VM = 1n << 17n;
/** Bits that must be 0: 3, 5, 15 and from 22 up. */
export const X86_EFLAGS_RESERVED = 0xffff_ffff_ffc0_8028n;

// Segment types (SDM vol. 3A tables 3-1 and 3-2).

/** Data, writable, accessed. */
export const SEGMENT_DATA = 3;
/** Code, readable, accessed. */
export const SEGMENT_CODE = 11;
/** Local descriptor table. */
export const SEGMENT_LDT = 2;
/** 16-bit TSS, busy. */
export const SEGMENT_TSS16_BUSY = 3;
/** 32-bit or 64-bit TSS, busy. */
export const SEGMENT_TSS_BUSY = 11;

// MSRs, as arch/x86/include/asm/msr-index.h spells them.

/** Time-stamp counter. */
export const MSR_IA32_TSC = 0x10;
/** Base and enable bits of the local APIC. */
export const MSR_IA32_APICBASE = 0x1b;
/** SYSENTER's code segment. */
export const MSR_IA32_SYSENTER_CS = 0x174;
/** SYSENTER's stack pointer. */
export const MSR_IA32_SYSENTER_ESP = 0x175;
/** SYSENTER's instruction pointer. */
export const MSR_IA32_SYSENTER_EIP = 0x176;
/** Miscellaneous processor features. */
export const MSR_IA32_MISC_ENABLE = 0x1a0;
/** Default memory type, and whether MTRRs count at all. */
export const MSR_MTRRdefType = 0x2ff;
/** SYSCALL's segments. */
export const MSR_STAR = 0xc0000081;
/** SYSCALL's target in 64-bit mode. */
export const MSR_LSTAR = 0xc0000082;
/** SYSCALL's target in compatibility mode. */
export const MSR_CSTAR = 0xc0000083;
/** Flags that SYSCALL clears. */
export const MSR_SYSCALL_MASK = 0xc0000084;
/** What SWAPGS swaps in. */
export const MSR_KERNEL_GS_BASE = 0xc0000102;

/** MSR_IA32_MISC_ENABLE: REP MOVS and STOS are fast. */
export const MSR_IA32_MISC_ENABLE_FAST_STRING = 1n;
/** MSR_MTRRdefType: MTRRs are in use. */
export const MTRR_ENABLE = 1n << 11n;
/** Memory type write-back. */
export const MTRR_TYPE_WRBACK = 6n;
/** MSR_IA32_APICBASE: this is the bootstrap processor. */
export const APICBASE_BSP = 1n << 8n;
/** MSR_IA32_APICBASE: the local APIC is on. */
export const APICBASE_ENABLE = 1n << 11n;

// Local APIC registers (SDM vol. 3A §11.4.1), as offsets into its page.

/** Local vector table: pin LINT0. */
export const APIC_LVT0 = 0x350;
/** Local vector table: pin LINT1. */
export const APIC_LVT1 = 0x360;
/** Delivery mode NMI, in place. */
export const APIC_DM_NMI = 0x400;
/** Delivery mode ExtINT, in place: the vector comes from the 8259. */
export const APIC_DM_EXTINT = 0x700;

// CPUID leaves (SDM vol. 2A, CPUID; APM vol. 3 appendix E).

/** Highest basic leaf and vendor. */
export const CPUID_VENDOR = 0x0;
/** Family, APIC id, features. */
export const CPUID_FEATURES = 0x1;
/** Intel: caches and who shares them. */
export const CPUID_CACHE_INTEL = 0x4;
/** Structured extended features. */
export const CPUID_EXTENDED_FEATURES = 0x7;
/** Topology by levels. */
export const CPUID_TOPOLOGY = 0xb;
/** TSC and crystal frequency. */
export const CPUID_TSC = 0x15;
/** Frequencies in MHz. */
export const CPUID_FREQUENCY = 0x16;
/** Topology by levels, with more kinds of level. */
export const CPUID_TOPOLOGY_V2 = 0x1f;
/** KVM's signature and highest leaf of its own. */
export const KVM_CPUID_SIGNATURE = 0x40000000;
/** KVM's features: kvmclock among them. */
export const KVM_CPUID_FEATURES = 0x40000001;
/** Frequencies of TSC and APIC timer in kHz, as VMware began and Linux and BSDs read. */
export const HYPERVISOR_CPUID_TIMING = 0x40000010;
/** Extended features. */
export const CPUID_EXTENDED = 0x80000001;
/** Address widths, and on AMD the number of threads. */
export const CPUID_ADDRESS_SIZES = 0x80000008;
/** AMD: nested virtualization. */
export const CPUID_SVM = 0x8000000a;
/** AMD: caches and who shares them. */
export const CPUID_CACHE_AMD = 0x8000001d;
/** AMD: core and node ids. */
export const CPUID_TOPOLOGY_AMD = 0x8000001e;
/** AMD: topology by levels. */
export const CPUID_TOPOLOGY_AMD_V2 = 0x80000026;

/** The four registers of a CPUID answer. */
export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

/** Where a feature's bit is: leaf, subleaf, register, bit number. */
export type CpuidBit = readonly [leaf: number, index: number, register: CpuidRegister, bit: number];

/** Features that are set, cleared or looked at here, by Linux' names for them (/proc/cpuinfo). */
export const CPUID_BITS = {
  vmx: [CPUID_FEATURES, 0, "ecx", 5],
  x2apic: [CPUID_FEATURES, 0, "ecx", 21],
  tsc_deadline_timer: [CPUID_FEATURES, 0, "ecx", 24],
  osxsave: [CPUID_FEATURES, 0, "ecx", 27],
  hypervisor: [CPUID_FEATURES, 0, "ecx", 31],
  tsc: [CPUID_FEATURES, 0, "edx", 4],
  ht: [CPUID_FEATURES, 0, "edx", 28],
  ospke: [CPUID_EXTENDED_FEATURES, 0, "ecx", 4],
  cmp_legacy: [CPUID_EXTENDED, 0, "ecx", 1],
  svm: [CPUID_EXTENDED, 0, "ecx", 2],
  topoext: [CPUID_EXTENDED, 0, "ecx", 22],
} as const satisfies Record<string, CpuidBit>;
