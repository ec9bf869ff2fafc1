/**
 * Where CPUID tells of a processor's features (SDM vol. 2A, CPUID; APM vol. 3 appendix E), by Linux' names for them.
 *
 * @module
 */

import type { CpuFeatureName } from "../config/cpu_features.ts";
import {
  CPUID_BITS,
  CPUID_EXTENDED,
  CPUID_EXTENDED_FEATURES,
  CPUID_FEATURES,
  type CpuidBit,
  type CpuidRegister,
} from "./x86.ts";

/** Leaf of the state that XSAVE keeps; its subleaf 1 tells of XSAVE's kinds. */
const CPUID_XSTATE = 0xd;

/** Bits of one register by name. */
function bits<Name extends string>(
  leaf: number,
  index: number,
  register: CpuidRegister,
  names: Readonly<Record<Name, number>>,
): Record<Name, CpuidBit> {
  const entries = Object.entries<number>(names);
  const rows = entries.map((
    [name, bit],
  ): [string, CpuidBit] => [name, [leaf, index, register, bit]]);
  return Object.fromEntries(rows) as Record<Name, CpuidBit>;
}

const maskable = (): Record<Exclude<CpuFeatureName, "vmx" | "svm">, CpuidBit> => ({
  ...bits(CPUID_FEATURES, 0, "ecx", {
    pclmulqdq: 1,
    ssse3: 9,
    fma: 12,
    pcid: 17,
    sse4_1: 19,
    sse4_2: 20,
    movbe: 22,
    popcnt: 23,
    aes: 25,
    xsave: 26,
    avx: 28,
    f16c: 29,
    rdrand: 30,
  }),
  ...bits(CPUID_EXTENDED_FEATURES, 0, "ebx", {
    fsgsbase: 0,
    bmi1: 3,
    hle: 4,
    avx2: 5,
    smep: 7,
    bmi2: 8,
    erms: 9,
    invpcid: 10,
    rtm: 11,
    avx512f: 16,
    avx512dq: 17,
    rdseed: 18,
    adx: 19,
    smap: 20,
    avx512ifma: 21,
    clflushopt: 23,
    clwb: 24,
    avx512cd: 28,
    sha_ni: 29,
    avx512bw: 30,
    avx512vl: 31,
  }),
  ...bits(CPUID_EXTENDED_FEATURES, 0, "ecx", {
    avx512vbmi: 1,
    umip: 2,
    pku: 3,
    avx512_vbmi2: 6,
    gfni: 8,
    vaes: 9,
    vpclmulqdq: 10,
    avx512_vnni: 11,
    avx512_bitalg: 12,
    avx512_vpopcntdq: 14,
    la57: 16,
    rdpid: 22,
  }),
  ...bits(CPUID_EXTENDED_FEATURES, 0, "edx", {
    fsrm: 4,
    avx512_vp2intersect: 8,
    amx_bf16: 22,
    avx512_fp16: 23,
    amx_tile: 24,
    amx_int8: 25,
  }),
  ...bits(CPUID_EXTENDED_FEATURES, 1, "eax", { avx_vnni: 4, avx512_bf16: 5 }),
  ...bits(CPUID_XSTATE, 1, "eax", { xsaveopt: 0, xsavec: 1, xgetbv1: 2, xsaves: 3 }),
  ...bits(CPUID_EXTENDED, 0, "ecx", {
    lahf_lm: 0,
    abm: 5,
    sse4a: 6,
    misalignsse: 7,
    "3dnowprefetch": 8,
    xop: 11,
    fma4: 16,
    tbm: 21,
  }),
  ...bits(CPUID_EXTENDED, 0, "edx", { pdpe1gb: 26, rdtscp: 27 }),
});

/** Name of a feature that is set, cleared or looked at. */
export type CpuFeature = keyof typeof CPUID_BITS | CpuFeatureName;

let all: Readonly<Record<CpuFeature, CpuidBit>> | undefined;

/** Where a feature is. Those that a start looks at need no table of all. */
export function cpuFeatureBit(feature: CpuFeature): CpuidBit {
  if (feature in CPUID_BITS) return CPUID_BITS[feature as keyof typeof CPUID_BITS];
  all ??= { ...CPUID_BITS, ...maskable() };
  return all[feature];
}
