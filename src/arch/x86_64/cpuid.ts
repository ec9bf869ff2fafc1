/**
 * CPUID as a vCPU gives it: what KVM supports on this host, with topology, timers and the hypervisor's own leaves made for
 * the machine. Copied as it is, CPUID would tell every vCPU the APIC id of the host CPU that was asked.
 *
 * @module
 */

// bits-file: CPUID registers, no addresses

import * as x86 from "../../abi/x86.ts";
import { type CpuFeature, cpuFeatureBit } from "../../abi/cpu_features.ts";
import type { CpuidEntry, CpuidRegister } from "../../abi/x86.ts";
import {
  checkTopology,
  type CpuPlace,
  cpuPlace,
  flatTopology,
  socketShift,
  threadBits,
  type Topology,
} from "./topology.ts";

/** What one vCPU's CPUID depends on. */
export interface CpuidOptions {
  /** The vCPU, from 0. */
  readonly index: number;
  /** How many there may be: what the topology is made of. */
  readonly cpus: number;
  /** One socket with a core for each vCPU where absent. */
  readonly topology?: Topology;
  /** The guest's TSC frequency; absent or 0 where it is not known. */
  readonly tscKhz?: number;
  /** Width of a guest physical address; what KVM says where absent. */
  readonly physicalBits?: number;
  /** Features taken away; nested virtualization where absent. */
  readonly without?: readonly CpuFeature[];
  /** Whether KVM emulates the local APIC, and with it x2APIC and the TSC deadline timer; true where absent. */
  readonly localApic?: boolean;
}

/** Frequency at which KVM runs every local APIC's timer. */
export const APIC_TIMER_KHZ = 1_000_000;

/** Nested virtualization: a guest that found it would rely on what KVM may not give it, such as an unlocked feature-control MSR. */
export const NESTED: readonly CpuFeature[] = ["vmx", "svm"];
/** Leaves that are left out of what KVM supports, since they are made anew or would tell of the host. */
const DROPPED: readonly number[] = [
  x86.CPUID_TOPOLOGY,
  x86.CPUID_TSC,
  x86.CPUID_FREQUENCY,
  x86.CPUID_TOPOLOGY_V2,
  x86.CPUID_TOPOLOGY_AMD_V2,
  x86.KVM_CPUID_SIGNATURE,
  x86.HYPERVISOR_CPUID_TIMING,
];
/** Level types of leaves 0xB and 0x1F (SDM vol. 2A, CPUID). */
const LEVEL_THREADS = 1;
const LEVEL_CORES = 2;
/** "KVMKVMKVM\0\0\0" as three registers. */
const KVM_SIGNATURE = { ebx: 0x4b4d564b, ecx: 0x564b4d56, edx: 0x4d };

interface FeatureState {
  readonly feature: CpuFeature;
  readonly on: boolean;
}

interface Facts {
  readonly options: CpuidOptions;
  readonly topology: Topology;
  readonly place: CpuPlace;
  /** Logical processors of a socket. */
  readonly perSocket: number;
  readonly amd: boolean;
  /** Highest basic leaf, at least that of topology. */
  readonly maxLeaf: number;
  readonly hasAmdTopology: boolean;
}

/**
 * The CPUID entries of one vCPU.
 *
 * @param supported what KVM_GET_SUPPORTED_CPUID gives
 * @returns for KVM_SET_CPUID2, before any MSR is set
 */
export function bootCpuid(
  supported: readonly CpuidEntry[],
  options: CpuidOptions,
): readonly CpuidEntry[] {
  const facts = gatherFacts(supported, options);
  const states = featureStates(options, facts);
  const kept = supported.filter((entry) => !DROPPED.includes(entry.function));
  return [
    ...kept.map((entry) => withFeatures(rewrite(entry, facts), states)),
    ...topologyLeaf(x86.CPUID_TOPOLOGY, facts),
    ...(facts.maxLeaf >= x86.CPUID_TOPOLOGY_V2 ? topologyLeaf(x86.CPUID_TOPOLOGY_V2, facts) : []),
    ...timingLeaves(facts),
  ];
}

function gatherFacts(supported: readonly CpuidEntry[], options: CpuidOptions): Facts {
  const topology = options.topology ?? flatTopology(options.cpus);
  checkTopology(topology, options.cpus);
  const vendor = supported.find((entry) => entry.function === x86.CPUID_VENDOR);
  return {
    options,
    topology,
    place: cpuPlace(topology, options.index),
    perSocket: topology.cores * topology.threads,
    // "AuthenticAMD" and "HygonGenuine" by their first four letters.
    amd: vendor?.ebx === 0x68747541 || vendor?.ebx === 0x6f677948,
    maxLeaf: Math.max(vendor?.eax ?? 0, x86.CPUID_TOPOLOGY),
    hasAmdTopology: supported.some((entry) => entry.function === x86.CPUID_TOPOLOGY_AMD),
  };
}

/** Numbers that differ from one machine or vCPU to the next. */
function rewrite(entry: CpuidEntry, facts: Facts): CpuidEntry {
  switch (entry.function) {
    case x86.CPUID_VENDOR:
      return { ...entry, eax: facts.maxLeaf };
    case x86.CPUID_FEATURES:
      return { ...entry, ebx: packageBits(entry.ebx, facts) };
    case x86.CPUID_CACHE_INTEL:
      return {
        ...entry,
        eax: setBits(cacheSharing(entry.eax, facts), 26, 6, coreIds(entry, facts)),
      };
    case x86.CPUID_CACHE_AMD:
      return { ...entry, eax: cacheSharing(entry.eax, facts) };
    case x86.CPUID_ADDRESS_SIZES:
      return addressSizes(entry, facts);
    case x86.CPUID_TOPOLOGY_AMD:
      return facts.amd ? amdTopology(entry, facts) : entry;
    default:
      return entry;
  }
}

/** Leaf 1 EBX: initial APIC id, and how many APIC ids a socket takes up. */
function packageBits(ebx: number, { amd, perSocket, topology, place }: Facts): number {
  const ids = amd ? perSocket : 2 ** socketShift(topology);
  return setBits(setBits(ebx, 16, 8, Math.min(ids, 255)), 24, 8, place.apicId % 256);
}

/** EAX 25:14 of both vendors' cache leaves: APIC ids that share the cache, minus one. */
function cacheSharing(eax: number, { topology }: Facts): number {
  const type = eax & 0x1f;
  if (type === 0) return eax;
  const level = eax >>> 5 & 7;
  const shift = level >= 3 ? socketShift(topology) : threadBits(topology);
  return setBits(eax, 14, 12, Math.min(2 ** shift, 4096) - 1);
}

/** Leaf 4 EAX 31:26: core ids of a socket, minus one. */
function coreIds({ eax }: CpuidEntry, { topology }: Facts): number {
  const ids = 2 ** (socketShift(topology) - threadBits(topology));
  return (eax & 0x1f) === 0 ? 0 : Math.min(ids, 64) - 1;
}

function addressSizes(entry: CpuidEntry, facts: Facts): CpuidEntry {
  const { amd, perSocket, topology, options } = facts;
  const eax = setBits(entry.eax, 0, 8, options.physicalBits ?? entry.eax & 0xff);
  if (!amd) return { ...entry, eax };
  const count = setBits(entry.ecx, 0, 8, Math.min(perSocket, 256) - 1);
  return { ...entry, eax, ecx: setBits(count, 12, 4, socketShift(topology)) };
}

function amdTopology(entry: CpuidEntry, { topology, place }: Facts): CpuidEntry {
  return {
    ...entry,
    eax: place.apicId,
    ebx: place.core % 256 + (topology.threads - 1) * 256,
    ecx: place.socket % 256,
    edx: 0,
  };
}

/** Leaves 0xB and 0x1F: a subleaf for threads, one for cores, and one that ends the list. */
function topologyLeaf(leaf: number, { topology, perSocket, place }: Facts): CpuidEntry[] {
  const level = (index: number, shift: number, count: number, type: number): CpuidEntry => ({
    function: leaf,
    index,
    flags: x86.KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
    eax: shift,
    ebx: count,
    ecx: index + type * 256,
    edx: place.apicId,
  });
  return [
    level(0, threadBits(topology), topology.threads, LEVEL_THREADS),
    level(1, socketShift(topology), perSocket, LEVEL_CORES),
    level(2, 0, 0, 0),
  ];
}

/** KVM's signature, and frequencies where they are known: without them a guest would have to measure against the PIT. */
function timingLeaves({ options, amd, maxLeaf }: Facts): CpuidEntry[] {
  const tscKhz = options.tscKhz ?? 0;
  const last = tscKhz > 0 ? x86.HYPERVISOR_CPUID_TIMING : x86.KVM_CPUID_FEATURES;
  const leaves = [leafOf(x86.KVM_CPUID_SIGNATURE, { eax: last, ...KVM_SIGNATURE })];
  if (tscKhz === 0) return leaves;
  leaves.push(leafOf(x86.HYPERVISOR_CPUID_TIMING, { eax: tscKhz, ebx: APIC_TIMER_KHZ }));
  const megahertz = Math.floor(tscKhz / 1000);
  // Linux takes the crystal for the APIC timer's clock, so it is given as that: crystal * EBX / EAX is the TSC.
  if (!amd && maxLeaf >= x86.CPUID_TSC) {
    const crystal = { eax: APIC_TIMER_KHZ, ebx: tscKhz, ecx: APIC_TIMER_KHZ * 1000 };
    leaves.push(leafOf(x86.CPUID_TSC, crystal));
  }
  if (!amd && maxLeaf >= x86.CPUID_FREQUENCY) {
    leaves.push(leafOf(x86.CPUID_FREQUENCY, { eax: megahertz, ebx: megahertz, ecx: 100 }));
  }
  return leaves;
}

/** Features that are on or off whatever the host says. */
function featureStates(
  options: CpuidOptions,
  { amd, perSocket, hasAmdTopology }: Pick<Facts, "amd" | "perSocket" | "hasAmdTopology">,
): readonly FeatureState[] {
  const localApic = options.localApic ?? true;
  const states: Partial<Record<CpuFeature, boolean>> = {
    hypervisor: true,
    ht: perSocket > 1,
    x2apic: localApic,
    tsc_deadline_timer: localApic,
    // KVM sets these two itself, as the guest turns CR4.OSXSAVE and CR4.PKE on.
    osxsave: false,
    ospke: false,
    ...(amd && { cmp_legacy: perSocket > 1, topoext: hasAmdTopology }),
  };
  for (const feature of options.without ?? NESTED) states[feature] = false;
  return Object.entries(states).map(([feature, on]) => ({ feature: feature as CpuFeature, on }));
}

function withFeatures(entry: CpuidEntry, states: readonly FeatureState[]): CpuidEntry {
  const hidden = entry.function === x86.CPUID_SVM &&
    states.some(({ feature, on }) => feature === "svm" && !on);
  if (hidden) return { ...entry, eax: 0, ebx: 0, ecx: 0, edx: 0 };
  let changed = entry;
  for (const { feature, on } of states) {
    const [leaf, index, register, bit] = cpuFeatureBit(feature);
    if (entry.function !== leaf || entry.index !== index) continue;
    changed = { ...changed, [register]: setBits(changed[register], bit, 1, on ? 1 : 0) };
  }
  return changed;
}

function leafOf(leaf: number, set: Partial<Record<CpuidRegister, number>>): CpuidEntry {
  return { function: leaf, index: 0, flags: 0, eax: 0, ebx: 0, ecx: 0, edx: 0, ...set };
}

/** `value` with `width` bits from bit `low` replaced by `field`. */
function setBits(value: number, low: number, width: number, field: number): number {
  const mask = (2 ** width - 1) << low;
  return ((value & ~mask) | (field << low)) >>> 0;
}
