/**
 * Features of a processor that a machine's description may take away, by their names in Linux' /proc/cpuinfo. What no 64-bit kernel
 * can be without, and what the machine makes itself, is not among them.
 *
 * @module
 */

/** The names, in CPUID's order. */
export const CPU_FEATURES = [
  ...["pclmulqdq", "vmx", "ssse3", "fma", "pcid", "sse4_1", "sse4_2", "movbe", "popcnt", "aes"],
  ...["xsave", "avx", "f16c", "rdrand"],
  ...["fsgsbase", "bmi1", "hle", "avx2", "smep", "bmi2", "erms", "invpcid", "rtm", "avx512f"],
  ...["avx512dq", "rdseed", "adx", "smap", "avx512ifma", "clflushopt", "clwb", "avx512cd"],
  ...["sha_ni", "avx512bw", "avx512vl"],
  ...["avx512vbmi", "umip", "pku", "avx512_vbmi2", "gfni", "vaes", "vpclmulqdq", "avx512_vnni"],
  ...["avx512_bitalg", "avx512_vpopcntdq", "la57", "rdpid"],
  ...["fsrm", "avx512_vp2intersect", "amx_bf16", "avx512_fp16", "amx_tile", "amx_int8"],
  ...["avx_vnni", "avx512_bf16"],
  ...["xsaveopt", "xsavec", "xgetbv1", "xsaves"],
  ...["lahf_lm", "svm", "abm", "sse4a", "misalignsse", "3dnowprefetch", "xop", "fma4", "tbm"],
  ...["pdpe1gb", "rdtscp"],
] as const;

/** One of {@linkcode CPU_FEATURES}. */
export type CpuFeatureName = (typeof CPU_FEATURES)[number];
