/**
 * A kernel that says yes to everything but what a test tells it to refuse. It keeps what it was asked, and counts descriptors
 * and mappings, so that leaks show.
 *
 * @module
 */

import {
  KvmCpuid2,
  KvmCpuidEntry2,
  KvmIoctl,
  type KvmIoctlName,
  KvmMsrList,
  KvmMsrs,
} from "../../src/abi/kvm.ts";
import { E2BIG, EBADF, EINTR } from "../../src/abi/linux.ts";
import { SystemError } from "../../src/base/errors.ts";
import { sizeof } from "../../src/base/struct.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { CAPABILITIES, type CapabilityName } from "../../src/kvm/capabilities.ts";
import type { IoctlArgument, KvmDriver } from "../../src/kvm/driver.ts";

/** A call of the driver by name: an ioctl's, or one of the others. */
export type FakeCallName = KvmIoctlName | "open" | "mmap";

/** A call that fails. */
export interface Fault {
  readonly name: FakeCallName;
  readonly errno: number;
  /** Which one of that name, from 1 on; each where absent. */
  readonly call?: number;
}

/** What the fake kernel answers otherwise than a complete one. */
export interface FakeKvmOptions {
  /** Values of capabilities: 0 denies one, `NR_MEMSLOTS: 1` leaves one slot. */
  readonly capabilities?: Readonly<Partial<Record<CapabilityName, number>>>;
  readonly faults?: readonly Fault[];
  readonly apiVersion?: number;
  readonly vcpuMapSize?: number;
  /** Width of a guest physical address, as CPUID tells it; 40 where absent. */
  readonly addressBits?: number;
  /** How many entries the lists of CPUID leaves and MSRs have. */
  readonly listLength?: number;
  /** The index of an MSR that can't be set or read. */
  readonly refusedMsr?: number;
}

/** A call that was made. */
export interface FakeCall {
  readonly name: FakeCallName;
  readonly fd: number;
  readonly argument: number | string | Uint8Array;
}

/** Numbers no real descriptor has, so that a mix-up with one shows as EBADF. */
const FIRST_FD = 1_000_000;

const NAMES: ReadonlyMap<number, KvmIoctlName> = new Map(
  (Object.keys(KvmIoctl) as KvmIoctlName[]).map((name) => [KvmIoctl[name], name]),
);
const CAPABILITY_NAMES: ReadonlyMap<number, CapabilityName> = new Map(
  (Object.keys(CAPABILITIES) as CapabilityName[]).map((name) => [CAPABILITIES[name], name]),
);

/** Values of capabilities that are more than a yes. */
const LIMITS: Readonly<Partial<Record<CapabilityName, number>>> = {
  NR_MEMSLOTS: 32764,
  NR_VCPUS: 8,
  MAX_VCPUS: 1024,
  MAX_VCPU_ID: 4096,
};

/** The fake kernel. */
export class FakeKvm implements KvmDriver {
  /** Every call in order. */
  readonly calls: FakeCall[] = [];
  /** Descriptors that are open now. */
  readonly openFds: Set<number> = new Set();
  /** Mappings that exist now. */
  openMappings = 0;
  /** What KVM_RUN gives. */
  runResult: number = -EINTR;
  readonly #options: FakeKvmOptions;
  readonly #counts = new Map<FakeCallName, number>();
  readonly #structs = new Map<string, Uint8Array>();
  #nextFd = FIRST_FD;

  /** @param options what it refuses */
  constructor(options: FakeKvmOptions = {}) {
    this.#options = options;
  }

  /** Names of the calls made, in order. */
  get names(): FakeCallName[] {
    return this.calls.map(({ name }) => name);
  }

  /** Arguments of the calls of one name. */
  argumentsOf(name: FakeCallName): FakeCall["argument"][] {
    return this.calls.filter((call) => call.name === name).map(({ argument }) => argument);
  }

  open(path: string): number {
    return this.#fault("open", -1, path) ?? this.#newFd();
  }

  close(fd: number): void {
    if (!this.openFds.delete(fd)) throw new Error(`Descriptor ${fd} was closed twice`);
  }

  run(): number {
    return this.runResult;
  }

  runApart(): never {
    throw new Error("The fake KVM has no threads");
  }

  mapVcpu(fd: number, size: number): Mapping {
    const error = this.#fault("mmap", fd, size);
    if (error !== undefined) throw new SystemError("mmap", -error, `Cannot map ${size} bytes`);
    return new CountedMapping(this, Mapping.anonymous(size));
  }

  ioctl(fd: number, request: number, argument: IoctlArgument): number {
    const name = NAMES.get(request);
    if (name === undefined) throw new Error(`The fake KVM has no ioctl 0x${request.toString(16)}`);
    if (!this.openFds.has(fd)) return -EBADF;
    const copy = typeof argument === "number" ? argument : argument.slice();
    return this.#fault(name, fd, copy) ?? this.#answer(name, fd, argument);
  }

  #answer(name: KvmIoctlName, fd: number, argument: IoctlArgument): number {
    switch (name) {
      case "KVM_GET_API_VERSION":
        return this.#options.apiVersion ?? 12;
      case "KVM_GET_VCPU_MMAP_SIZE":
        return this.#options.vcpuMapSize ?? 12288;
      case "KVM_CHECK_EXTENSION":
        return this.#capability(Number(argument));
      case "KVM_CREATE_VM":
      case "KVM_CREATE_VCPU":
      case "KVM_GET_STATS_FD":
        return this.#newFd();
      case "KVM_GET_TSC_KHZ":
        return 2_000_000;
      default:
        return typeof argument === "number" ? 0 : this.#struct(name, fd, argument);
    }
  }

  #struct(name: KvmIoctlName, fd: number, bytes: Uint8Array<ArrayBuffer>): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const subject = `${fd} ${name.replace(/^KVM_[GS]ET_/, "")}`;
    switch (name) {
      case "KVM_GET_SUPPORTED_CPUID":
        return this.#fillCpuid(view);
      case "KVM_GET_MSR_INDEX_LIST":
        return this.#fillMsrs(view);
      case "KVM_SET_MSRS":
      case "KVM_GET_MSRS":
        return this.#acceptedMsrs(view);
      default:
        if (name.startsWith("KVM_SET_")) this.#structs.set(subject, bytes.slice());
        else if (name.startsWith("KVM_GET_")) bytes.set(this.#structs.get(subject) ?? []);
        return 0;
    }
  }

  #capability(number: number): number {
    const name = CAPABILITY_NAMES.get(number);
    if (name === undefined) return 0;
    return this.#options.capabilities?.[name] ?? LIMITS[name] ?? 1;
  }

  #fillCpuid(view: DataView): number {
    const length = this.#options.listLength ?? 2;
    // bits: EAX 15:8 of the leaf, the width of a linear address, and 7:0
    const width = 0x3000 | (this.#options.addressBits ?? 40);
    if (view.getUint32(KvmCpuid2.nent, true) < length) return -E2BIG;
    view.setUint32(KvmCpuid2.nent, length, true);
    for (let i = 0; i < length; i++) {
      const at = sizeof(KvmCpuid2) + i * sizeof(KvmCpuidEntry2);
      view.setUint32(at + KvmCpuidEntry2.function, i === 0 ? 0x80000008 : i, true);
      view.setUint32(at + KvmCpuidEntry2.eax, i === 0 ? width : 0, true);
    }
    return 0;
  }

  #fillMsrs(view: DataView): number {
    const length = this.#options.listLength ?? 2;
    if (view.getUint32(KvmMsrList.nmsrs, true) < length) return -E2BIG;
    view.setUint32(KvmMsrList.nmsrs, length, true);
    for (let i = 0; i < length; i++) view.setUint32(sizeof(KvmMsrList) + 4 * i, 0x10 + i, true);
    return 0;
  }

  #acceptedMsrs(view: DataView): number {
    const count = view.getUint32(KvmMsrs.nmsrs, true);
    for (let i = 0; i < count; i++) {
      const index = view.getUint32(sizeof(KvmMsrs) + i * 16, true);
      if (index === this.#options.refusedMsr) return i;
    }
    return count;
  }

  #fault(name: FakeCallName, fd: number, argument: FakeCall["argument"]): number | undefined {
    this.calls.push({ name, fd, argument });
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    const fault = this.#options.faults?.find((fault) =>
      fault.name === name && (fault.call ?? count) === count
    );
    return fault && -fault.errno;
  }

  #newFd(): number {
    const fd = this.#nextFd++;
    this.openFds.add(fd);
    return fd;
  }
}

/** A mapping that tells the fake kernel when it goes. */
class CountedMapping extends Mapping {
  readonly #kvm: FakeKvm;
  readonly #inner: Mapping;
  #counted = true;

  constructor(kvm: FakeKvm, inner: Mapping) {
    super(inner.address, inner.size);
    this.#kvm = kvm;
    this.#inner = inner;
    kvm.openMappings++;
  }

  override [Symbol.dispose](): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#kvm.openMappings--;
    this.#inner[Symbol.dispose]();
  }
}
