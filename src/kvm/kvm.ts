/**
 * /dev/kvm itself.
 *
 * @module
 */

import {
  KVM_API_VERSION,
  KvmCpuid2,
  KvmCpuidEntry2,
  KvmIoctl,
  KvmMsrList,
  KvmRun,
} from "../abi/kvm.ts";
import { E2BIG, EACCES, EBUSY, ENODEV, ENOENT, EPERM, O_CLOEXEC, O_RDWR } from "../abi/linux.ts";
import type { CpuidEntry } from "../abi/x86.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import {
  CAPABILITIES,
  type CapabilityName,
  capabilityNumber,
  REQUIRED_CAPABILITIES,
} from "./capabilities.ts";
import { cpuidEax, decodeCpuid } from "./cpuid_block.ts";
import { KvmDescriptor } from "./descriptor.ts";
import { hostDriver, ioctlError, type KvmDriver } from "./driver.ts";
import { Vm } from "./vm.ts";

/** The device. */
export const KVM_PATH = "/dev/kvm";

/** What to do about each errno of opening it. */
const OPEN_HINTS: Readonly<Record<number, string>> = {
  [ENOENT]:
    "load KVM with `modprobe kvm_amd` or `modprobe kvm_intel`; in a container or a virtual " +
    "machine pass the device in or turn nested virtualization on",
  [EACCES]:
    "add your user to the device's group with `sudo usermod -aG kvm $USER` and log in anew, " +
    "or run as root",
  [EPERM]: "the container forbids this device: allow it (docker: `--device /dev/kvm`)",
  [ENODEV]:
    "the device has no driver: turn on SVM or VT-x in the firmware, then `modprobe kvm_amd` " +
    "or `modprobe kvm_intel`",
  [EBUSY]: "another hypervisor holds the processor's virtualization: stop VirtualBox or VMware",
};

/** What to do about a positive errno of opening the device. */
export function openHint(errno: number): string {
  return OPEN_HINTS[errno] ?? "see `dmesg | grep kvm`";
}

/** Most CPUID entries asked for; kernels have about 60. */
const CPUID_LIMIT = 1024;
/** Most MSR indices asked for; kernels have about 100. */
const MSR_LIMIT = 4096;

/** How {@linkcode Kvm.open} opens. */
export interface KvmOptions {
  /** The device; `/dev/kvm` where absent. */
  readonly path?: string;
  /** The kernel's door; the real one where absent. */
  readonly driver?: KvmDriver;
  /** Operating system and processor, as `Deno.build` names them; this host's where absent. */
  readonly build?: Pick<typeof Deno.build, "os" | "arch">;
}

/** The system descriptor: what this kernel's KVM can do, and the maker of VMs. */
export class Kvm extends KvmDescriptor {
  #cpuid: Uint8Array<ArrayBuffer> | undefined;
  #supported: readonly CpuidEntry[] | undefined;

  /**
   * Opens the device. Fails with kind `open`, the OS's cause and a hint that fits it; with kind `platform` where no device could be.
   */
  static open(options: KvmOptions = {}): Kvm {
    requirePlatform(options.build);
    const path = options.path ?? KVM_PATH;
    const driver = options.driver ?? hostDriver;
    const result = driver.open(path, O_RDWR | O_CLOEXEC);
    if (result >= 0) return new Kvm(driver, result);
    const cause = new SystemError("open", -result, `Cannot open "${path}"`);
    const text = `KVM is not available: ${cause.message}; ${openHint(-result)}`;
    throw new VireoError("open", text, { cause });
  }

  /**
   * Checks API version and required capabilities. Fails with kind `compat`, and names everything that is missing.
   *
   * @param required capabilities needed besides {@linkcode REQUIRED_CAPABILITIES}
   */
  requireCompatible(required: readonly CapabilityName[] = []): void {
    const version = this.tryControl("KVM_GET_API_VERSION");
    if (version !== KVM_API_VERSION) {
      const found = version < 0
        ? ioctlError("KVM_GET_API_VERSION", version, "Cannot ask for it").message
        : `version ${version}`;
      throw new VireoError(
        "compat",
        `KVM is not compatible: its API version must be ${KVM_API_VERSION}, but: ${found}; ` +
          "use a Linux kernel of 4.20 or newer",
      );
    }
    const missing = [...REQUIRED_CAPABILITIES, ...required].filter((name) => this.check(name) <= 0);
    if (missing.length === 0) return;
    throw new VireoError(
      "compat",
      `KVM is not compatible: it lacks ${missing.join(", ")}; use a Linux kernel of 4.20 or newer`,
    );
  }

  /**
   * A capability's value, 0 where it is absent.
   *
   * @param name as in {@linkcode capabilityNumber}; an unknown one throws
   */
  check(name: string): number {
    const number = capabilityNumber(name);
    return this.control("KVM_CHECK_EXTENSION", `Cannot check capability ${name}`, number);
  }

  /** Every capability's value by name. */
  capabilities(): Map<CapabilityName, number> {
    const names = Object.keys(CAPABILITIES) as CapabilityName[];
    return new Map(names.map((name) => [name, this.check(name)]));
  }

  /** Bytes to map of each vCPU. Fails with kind `vcpu_mmap_size`. */
  vcpuMapSize(): number {
    const size = this.tryControl("KVM_GET_VCPU_MMAP_SIZE");
    if (size >= sizeof(KvmRun)) return size;
    const cause = size < 0
      ? ioctlError("KVM_GET_VCPU_MMAP_SIZE", size, "Cannot ask for the size of kvm_run")
      : new VireoError("range", `KVM says ${size} bytes, kvm_run has ${sizeof(KvmRun)}`);
    throw new VireoError(
      "vcpu_mmap_size",
      `Cannot size the vCPUs' shared pages: ${cause.message}; use a Linux kernel of 4.20 or newer`,
      { cause },
    );
  }

  /** The CPUID entries that this host's KVM supports; asked for once. */
  supportedCpuid(): readonly CpuidEntry[] {
    return this.#supported ??= decodeCpuid(this.#cpuidBytes());
  }

  #cpuidBytes(): Uint8Array<ArrayBuffer> {
    return this.#cpuid ??= this.#list("KVM_GET_SUPPORTED_CPUID", {
      header: sizeof(KvmCpuid2),
      entry: sizeof(KvmCpuidEntry2),
      limit: CPUID_LIMIT,
    });
  }

  /** The MSRs that make up a vCPU's state on this host. */
  msrIndexList(): Uint32Array {
    const header = sizeof(KvmMsrList);
    const bytes = this.#list("KVM_GET_MSR_INDEX_LIST", { header, entry: 4, limit: MSR_LIMIT });
    const count = new DataView(bytes.buffer).getUint32(KvmMsrList.nmsrs, true);
    return new Uint32Array(bytes.buffer, header, count);
  }

  /** Bits of a guest physical address, as CPUID 0x80000008 tells the guest. */
  physicalAddressBits(): number {
    // bits: EAX 7:0 of the leaf.
    return (cpuidEax(this.#cpuidBytes(), 0x80000008) ?? 36) & 0xff;
  }

  /** Makes a VM; throws {@linkcode SystemError}, whose message says what to do where that is known. */
  createVm(): Vm {
    const result = this.tryControl("KVM_CREATE_VM");
    if (result >= 0) return new Vm(this.driver, result);
    const hint = result === -EBUSY ? ` (${OPEN_HINTS[EBUSY]})` : "";
    throw ioctlError("KVM_CREATE_VM", result, `Cannot create a virtual machine${hint}`);
  }

  /** A list whose first u32 says how many entries fit and then how many there are; doubled while too small. */
  #list(
    name: "KVM_GET_SUPPORTED_CPUID" | "KVM_GET_MSR_INDEX_LIST",
    { header, entry, limit }: { header: number; entry: number; limit: number },
  ): Uint8Array<ArrayBuffer> {
    for (let count = 128;; count *= 2) {
      const bytes = new Uint8Array(header + count * entry);
      new DataView(bytes.buffer).setUint32(0, count, true);
      const result = this.ioctl(KvmIoctl[name], bytes);
      if (result >= 0) return bytes;
      if (result !== -E2BIG || count >= limit) {
        throw ioctlError(name, result, "Cannot ask KVM what it supports");
      }
    }
  }
}

/**
 * Sees that there is a hypervisor for this operating system and processor.
 *
 * @param build as `Deno.build` names them
 * @throws VireoError `platform` where there is none
 */
export function requirePlatform(
  { os, arch }: Pick<typeof Deno.build, "os" | "arch"> = Deno.build,
): void {
  if (os === "linux" && arch === "x86_64") return;
  throw new VireoError(
    "platform",
    `Cannot run machines on ${os} with ${arch} processors; use a host with Linux' KVM on x86_64`,
  );
}
