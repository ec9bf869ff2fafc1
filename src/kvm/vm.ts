/**
 * A virtual machine's descriptor.
 *
 * @module
 */

import {
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IRQFD_FLAG_DEASSIGN,
  KVM_IRQFD_FLAG_RESAMPLE,
  KvmClockData,
  KvmDirtyLog,
  KvmEnableCap,
  KvmIrqLevel,
  KvmMsi,
  KvmPitConfig,
} from "../abi/kvm.ts";
import { ENOENT, PAGE_SIZE } from "../abi/linux.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import { addressOf } from "../host/mapping.ts";
import { capabilityNumber } from "./capabilities.ts";
import { KvmDescriptor } from "./descriptor.ts";
import { Vcpu } from "./vcpu.ts";
import {
  block,
  type CoalescedZone,
  encodeGsiRouting,
  encodeIoEvent,
  encodeIrqfd,
  encodeMemoryRegion,
  encodeZone,
  type GsiRoute,
  type IoEvent,
  type Irqfd,
  type MemoryRegion,
} from "./vm_block.ts";

/** One VM: its memory slots, interrupt controllers, events and vCPUs. */
export class Vm extends KvmDescriptor {
  readonly #slots = new Map<number, MemoryRegion>();
  #slotLimit = -1;

  /**
   * A capability's value on this VM, 0 where it is absent.
   *
   * @param name as in {@linkcode capabilityNumber}; an unknown one throws
   */
  check(name: string): number {
    const number = capabilityNumber(name);
    return this.control("KVM_CHECK_EXTENSION", `Cannot check capability ${name}`, number);
  }

  /**
   * Turns a capability on.
   *
   * @param name as in {@linkcode capabilityNumber}
   * @param args its up to four arguments
   * @returns whether this VM has it and it is on now
   */
  enable(name: string, args: readonly number[] = [], flags = 0): boolean {
    const { bytes, view } = block(KvmEnableCap);
    const number = capabilityNumber(name);
    if (this.check(name) <= 0) return false;
    view.setUint32(KvmEnableCap.cap, number, true);
    view.setUint32(KvmEnableCap.flags, flags, true);
    args.forEach((arg, i) => view.setBigUint64(KvmEnableCap.args + i * 8, BigInt(arg), true));
    return this.tryControl("KVM_ENABLE_CAP", bytes) >= 0;
  }

  /**
   * Sees that this VM has a capability.
   *
   * @param name as in {@linkcode capabilityNumber}
   * @param what cannot be done without it, for the error: `Cannot log dirty pages`
   * @throws VireoError of kind `unsupported`
   */
  require(name: string, what: string): void {
    if (this.check(name) > 0) return;
    throw new VireoError(
      "unsupported",
      `${what}: this works only on VMs that support ${name}; use a newer Linux kernel, or do without`,
    );
  }

  /** The clock that kvmclock shows the guest, in ns since the VM was made; kind `unsupported` where it has none. */
  clock(): bigint {
    this.require("PvClock", "Cannot read the guest's clock");
    const { bytes, view } = block(KvmClockData);
    this.control("KVM_GET_CLOCK", "Cannot read the guest's clock", bytes);
    return view.getBigUint64(KvmClockData.clock, true);
  }

  /** Sets that clock, in ns: for a guest that goes on where another stopped. */
  setClock(nanoseconds: bigint): void {
    this.require("PvClock", "Cannot set the guest's clock");
    const { bytes, view } = block(KvmClockData);
    view.setBigUint64(KvmClockData.clock, nanoseconds, true);
    this.control("KVM_SET_CLOCK", "Cannot set the guest's clock", bytes);
  }

  /** Three pages that Intel's KVM needs for itself, outside of RAM and below 4 GiB; before the first vCPU. */
  setTssAddress(address: number): void {
    this.control("KVM_SET_TSS_ADDR", "Cannot place the TSS", address);
  }

  /** One page more of the same kind; before the first vCPU. */
  setIdentityMapAddress(address: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(address), true);
    this.control("KVM_SET_IDENTITY_MAP_ADDR", "Cannot place the identity map", bytes);
  }

  /** The kernel's PICs, IOAPIC and local APICs; before the first vCPU. */
  createIrqchip(): void {
    this.control("KVM_CREATE_IRQCHIP", "Cannot create the interrupt controllers");
  }

  /** The kernel's PIT; after {@linkcode createIrqchip}. */
  createPit(flags: number): void {
    const { bytes, view } = block(KvmPitConfig);
    view.setUint32(KvmPitConfig.flags, flags, true);
    this.control("KVM_CREATE_PIT2", "Cannot create the timer", bytes);
  }

  /** How many memory slots this KVM has. */
  get slotLimit(): number {
    if (this.#slotLimit < 0) this.#slotLimit = this.check("NR_MEMSLOTS");
    return this.#slotLimit;
  }

  /** Adds a memory slot, or changes the flags of one. Fails with kind `set_user_memory_region` when there are no more. */
  setMemoryRegion(region: MemoryRegion): void {
    if (region.slot < 0 || region.slot >= this.slotLimit) {
      throw new VireoError(
        "set_user_memory_region",
        `Cannot use memory slot ${region.slot}: this KVM has ${this.slotLimit}, numbered from 0; ` +
          "use fewer memory regions",
      );
    }
    if (region.logDirty) this.require("DirtyLog", "Cannot log which pages are written");
    if (region.readonly) this.require("READONLY_MEM", "Cannot make a memory slot read-only");
    this.#setRegion(region, region.size);
    this.#slots.set(region.slot, region);
  }

  /** Removes a slot; the memory itself stays mapped. Fails with ENOENT where there is none. */
  removeMemoryRegion(slot: number): void {
    this.#setRegion(this.memoryRegion(slot), 0);
    this.#slots.delete(slot);
  }

  /** The region in a slot. Fails with ENOENT where there is none. */
  memoryRegion(slot: number): MemoryRegion {
    const region = this.#slots.get(slot);
    if (!region) {
      throw new SystemError("memory slot", ENOENT, `Cannot find memory slot ${slot}`);
    }
    return region;
  }

  #setRegion(region: MemoryRegion, size: number): void {
    this.control(
      "KVM_SET_USER_MEMORY_REGION",
      `Cannot put ${size} bytes at guest address 0x${region.guestAddress.toString(16)} ` +
        `into memory slot ${region.slot}`,
      encodeMemoryRegion(region, size),
    );
  }

  /**
   * Which pages of a slot were written since the last call: bit 0 of byte 0 is its first page.
   *
   * @param bitmap at least one bit a page; bytes behind that are left alone
   */
  dirtyLog(slot: number, bitmap: Uint8Array): void {
    const pages = this.memoryRegion(slot).size / PAGE_SIZE;
    const length = Math.ceil(pages / 8);
    if (bitmap.length < length) {
      throw new VireoError(
        "range",
        `Cannot read the dirty log of ${pages} pages into ${bitmap.length} bytes: give ${length}`,
      );
    }
    // The kernel writes whole 64-bit words, more than the caller's buffer may have.
    const words = new Uint8Array(new ArrayBuffer(Math.ceil(pages / 64) * 8));
    const { bytes, view } = block(KvmDirtyLog);
    view.setUint32(KvmDirtyLog.slot, slot, true);
    // SAFETY: `words` is as long as the kernel writes, and is used after the call.
    view.setBigUint64(KvmDirtyLog.dirty_bitmap, BigInt(addressOf(words)), true);
    this.control("KVM_GET_DIRTY_LOG", `Cannot read the dirty log of slot ${slot}`, bytes);
    bitmap.set(words.subarray(0, length));
  }

  /** Sets an input of the interrupt controllers; one without a route takes it in silence. */
  setIrqLine(gsi: number, level: 0 | 1): void {
    const { bytes, view } = block(KvmIrqLevel);
    view.setUint32(KvmIrqLevel.irq, gsi, true);
    view.setUint32(KvmIrqLevel.level, level, true);
    this.control("KVM_IRQ_LINE", `Cannot set interrupt line ${gsi}`, bytes);
  }

  /**
   * Makes an eventfd trigger a GSI.
   *
   * @param resampleFd makes it level-triggered: signalled by the kernel when the guest has acknowledged
   */
  assignIrqfd(fd: number, gsi: number, resampleFd?: number): void {
    const flags = resampleFd === undefined ? 0 : KVM_IRQFD_FLAG_RESAMPLE;
    this.#irqfd({ fd, gsi, flags, resampleFd: resampleFd ?? 0 }, "Cannot connect an eventfd to");
  }

  /** Undoes {@linkcode assignIrqfd}; one that isn't assigned is no error for the kernel. */
  deassignIrqfd(fd: number, gsi: number): void {
    const flags = KVM_IRQFD_FLAG_DEASSIGN;
    this.#irqfd({ fd, gsi, flags, resampleFd: 0 }, "Cannot disconnect an eventfd from");
  }

  #irqfd(irqfd: Irqfd, context: string): void {
    this.control("KVM_IRQFD", `${context} interrupt line ${irqfd.gsi}`, encodeIrqfd(irqfd));
  }

  /** Makes guest writes signal an eventfd instead of exiting. */
  assignIoEvent(event: IoEvent): void {
    this.#ioEvent(event, 0, "Cannot connect");
  }

  /** Undoes {@linkcode assignIoEvent}: needs the same eventfd, address, length and datamatch, else fails with ENOENT. */
  deassignIoEvent(event: IoEvent): void {
    this.#ioEvent(event, KVM_IOEVENTFD_FLAG_DEASSIGN, "Cannot disconnect");
  }

  #ioEvent(event: IoEvent, flag: number, context: string): void {
    const place = event.port ? "port" : "guest address";
    const at = `${place} 0x${event.address.toString(16)}`;
    const bytes = encodeIoEvent(event, flag);
    this.control("KVM_IOEVENTFD", `${context} an eventfd for writes to ${at}`, bytes);
  }

  /**
   * Where in kvm_run's pages the ring of coalesced writes lies, in bytes; 0 where this KVM does not coalesce writes to ports.
   *
   * @param runSize as {@linkcode Kvm.vcpuMapSize} says
   */
  ringOffset(runSize: number): number {
    const offset = this.check("COALESCED_MMIO") * PAGE_SIZE;
    const fits = offset > 0 && offset + PAGE_SIZE <= runSize;
    return fits && this.check("COALESCED_PIO") > 0 ? offset : 0;
  }

  /**
   * Makes guest writes to a range wait in the VM's ring instead of leaving KVM_RUN, as long as the ring has room: see
   * {@linkcode CoalescedRing}. Needs `COALESCED_MMIO`, for ports `COALESCED_PIO`.
   */
  coalesce(zone: CoalescedZone): void {
    this.#coalesce("KVM_REGISTER_COALESCED_MMIO", zone);
  }

  /** Undoes {@linkcode coalesce} of the same range. */
  uncoalesce(zone: CoalescedZone): void {
    this.#coalesce("KVM_UNREGISTER_COALESCED_MMIO", zone);
  }

  #coalesce(
    name: "KVM_REGISTER_COALESCED_MMIO" | "KVM_UNREGISTER_COALESCED_MMIO",
    zone: CoalescedZone,
  ): void {
    const place = zone.port ? "port" : "guest address";
    const at = `${place} 0x${zone.address.toString(16)}`;
    this.control(name, `Cannot coalesce writes to ${at}`, encodeZone(zone));
  }

  /** Replaces the whole table of GSI routes. */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    const bytes = encodeGsiRouting(routes);
    this.control("KVM_SET_GSI_ROUTING", `Cannot set ${routes.length} interrupt routes`, bytes);
  }

  /** Sends a message-signalled interrupt; returns whether a vCPU took it. */
  signalMsi(address: bigint, data: number): boolean {
    const { bytes, view } = block(KvmMsi);
    view.setBigUint64(KvmMsi.address_lo, address, true);
    view.setUint32(KvmMsi.data, data, true);
    return this.control("KVM_SIGNAL_MSI", "Cannot send an MSI", bytes) > 0;
  }

  /** Makes a vCPU; `id` is its APIC id. */
  createVcpu(id: number): Vcpu {
    const fd = this.control("KVM_CREATE_VCPU", `Cannot create vCPU ${id}`, id);
    return new Vcpu(this.driver, fd, { id });
  }
}
