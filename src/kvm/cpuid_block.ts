/**
 * CPUID entries as `struct kvm_cpuid2` and back.
 *
 * @module
 */

import { KvmCpuid2, KvmCpuidEntry2 } from "../abi/kvm.ts";
import type { CpuidEntry } from "../abi/x86.ts";
import { viewOf } from "../base/bytes.ts";
import { sizeof } from "../base/struct.ts";

/** The entries of a `struct kvm_cpuid2`. */
export function decodeCpuid(bytes: Uint8Array<ArrayBuffer>): CpuidEntry[] {
  const view = viewOf(bytes);
  const count = view.getUint32(KvmCpuid2.nent, true);
  return Array.from({ length: count }, (_, i) => {
    const at = sizeof(KvmCpuid2) + i * sizeof(KvmCpuidEntry2);
    return {
      function: view.getUint32(at + KvmCpuidEntry2.function, true),
      index: view.getUint32(at + KvmCpuidEntry2.index, true),
      flags: view.getUint32(at + KvmCpuidEntry2.flags, true),
      eax: view.getUint32(at + KvmCpuidEntry2.eax, true),
      ebx: view.getUint32(at + KvmCpuidEntry2.ebx, true),
      ecx: view.getUint32(at + KvmCpuidEntry2.ecx, true),
      edx: view.getUint32(at + KvmCpuidEntry2.edx, true),
    };
  });
}

/** EAX of a leaf without subleaves in a `struct kvm_cpuid2`: a look at one entry, where decoding all takes half a millisecond. */
export function cpuidEax(bytes: Uint8Array<ArrayBuffer>, leaf: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = sizeof(KvmCpuid2) + view.getUint32(KvmCpuid2.nent, true) * sizeof(KvmCpuidEntry2);
  for (let at = sizeof(KvmCpuid2); at < end; at += sizeof(KvmCpuidEntry2)) {
    if (view.getUint32(at + KvmCpuidEntry2.function, true) !== leaf) continue;
    return view.getUint32(at + KvmCpuidEntry2.eax, true);
  }
  return undefined;
}

/** `struct kvm_cpuid2` with these entries. */
export function encodeCpuid(entries: readonly CpuidEntry[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeof(KvmCpuid2) + entries.length * sizeof(KvmCpuidEntry2));
  const view = new DataView(bytes.buffer);
  view.setUint32(KvmCpuid2.nent, entries.length, true);
  entries.forEach((entry, i) => {
    const at = sizeof(KvmCpuid2) + i * sizeof(KvmCpuidEntry2);
    view.setUint32(at + KvmCpuidEntry2.function, entry.function, true);
    view.setUint32(at + KvmCpuidEntry2.index, entry.index, true);
    view.setUint32(at + KvmCpuidEntry2.flags, entry.flags, true);
    view.setUint32(at + KvmCpuidEntry2.eax, entry.eax, true);
    view.setUint32(at + KvmCpuidEntry2.ebx, entry.ebx, true);
    view.setUint32(at + KvmCpuidEntry2.ecx, entry.ecx, true);
    view.setUint32(at + KvmCpuidEntry2.edx, entry.edx, true);
  });
  return bytes;
}
