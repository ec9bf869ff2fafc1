/**
 * What a vCPU worker and its owner post to each other: plain data only.
 *
 * @module
 */

import type { ModuleUse } from "../devices/device_modules.ts";
import type { EndRequest } from "../devices/front.ts";
import type { VcpuDescriptor } from "../kvm/vcpu.ts";

/** The one message that a vCPU worker gets, while its machine may still be being built. */
export interface VcpuStart {
  /** The vCPU as its owner made it. */
  readonly vcpu: VcpuDescriptor;
  /** The machine's shared state, and in it the decode table and this vCPU's control words. */
  readonly state: SharedArrayBuffer;
  readonly table: number;
  readonly control: number;
  /** The host's processors that the worker's thread may run on; any where empty. */
  readonly pin: readonly number[];
  /** Offset of the word in which the first vCPU to end the machine leaves its number, plus one. */
  readonly end: number;
  /** Offset of the lock of the ring of coalesced writes. */
  readonly ringLock: number;
  /** Modules that make devices' fronts. */
  readonly modules: readonly ModuleUse[];
  /** Offset of the boot timer's marks, or -1 without one. */
  readonly marks: number;
  /** The plain thread that runs the vCPU until its worker is up, where there is one. */
  readonly headStart: bigint | undefined;
}

/**
 * Why a machine ended: what a device asked for, `halted` (all vCPUs at HLT with interrupts off), `triple-fault`
 * (KVM_EXIT_SHUTDOWN), `kvm-error` (an exit that nobody can handle), `device-error` (a device of the program's own failed),
 * `vcpu-error` (our own fault).
 */
export type EndCause =
  | EndRequest
  | "halted"
  | "triple-fault"
  | "kvm-error"
  | "device-error"
  | "vcpu-error";

/** A vCPU worker's last word about the machine; only the first of all vCPUs' counts. */
export interface VcpuEnded {
  readonly type: "ended";
  /** APIC id of the vCPU; -1 for what is no vCPU's. */
  readonly vcpu: number;
  readonly cause: EndCause;
  /** What a device gave with its request: the value written to the debug port. */
  readonly detail: number;
  /** For a person: exit name, suberror, rip, or the error's stack. */
  readonly text: string;
}

/** The guest, or its owner, asks for the owner's turn; a vCPU that did waits until it has been given. */
export interface VcpuYielded {
  readonly type: "yielded";
  /** APIC id of the vCPU that asked; -1 for the owner itself. */
  readonly vcpu: number;
  /** What a device gave with its request: the value written to the yield port. */
  readonly detail: number;
}

/** Something a guest did wrong, for the log. */
export interface VcpuWarning {
  readonly type: "warning";
  readonly device: string;
  readonly message: string;
}

/** What a vCPU worker posts. */
export type VcpuMessage = VcpuEnded | VcpuYielded | VcpuWarning;
