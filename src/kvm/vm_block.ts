/**
 * What a VM is told of memory, events and interrupts, and the C structs that its ioctls take it in.
 *
 * @module
 */

import {
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_IRQ_ROUTING_IRQCHIP,
  KVM_IRQ_ROUTING_MSI,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KvmCoalescedMmioZone,
  KvmIoeventfd,
  KvmIrqfd,
  KvmIrqRouting,
  KvmIrqRoutingEntry,
  KvmIrqRoutingIrqchip,
  KvmIrqRoutingMsi,
  KvmUserspaceMemoryRegion,
} from "../abi/kvm.ts";
import { type Shape, sizeof } from "../base/struct.ts";

/** A range whose writes are coalesced. */
export interface CoalescedZone {
  /** Guest physical address, or port. */
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  /** Whether `address` is an I/O port. */
  readonly port: boolean;
}

/** One piece of guest memory. */
export interface MemoryRegion {
  /** Number that names it from now on. */
  readonly slot: number;
  /** Guest physical address, page-aligned. */
  readonly guestAddress: number;
  /** Bytes, whole pages. */
  readonly size: number;
  /** Where it lies in this process, page-aligned and mapped as long as the slot exists. */
  readonly hostAddress: number;
  /** The guest's writes become MMIO exits. */
  readonly readonly?: boolean;
  /** Keep the bitmap that `Vm.dirtyLog()` reads. */
  readonly logDirty?: boolean;
}

/** A guest write that signals an eventfd instead of exiting. */
export interface IoEvent {
  /** The eventfd's number. */
  readonly fd: number;
  /** Guest physical address, or port. */
  readonly address: number;
  /** Width of the write in bytes; 0 for any. */
  readonly length: 0 | 1 | 2 | 4 | 8;
  /** Only this value; any where absent. Needs a length. */
  readonly datamatch?: number | bigint;
  /** It is a port. */
  readonly port?: boolean;
}

/** Where a GSI goes: a pin of an interrupt controller, or an MSI message. */
export type GsiRoute =
  | { readonly gsi: number; readonly irqchip: number; readonly pin: number }
  | { readonly gsi: number; readonly address: bigint; readonly data: number };

/** An eventfd on its way to a GSI, or from it. */
export interface Irqfd {
  /** The eventfd's number. */
  readonly fd: number;
  readonly gsi: number;
  /** `KVM_IRQFD_FLAG_*`. */
  readonly flags: number;
  /** The eventfd that the kernel signals once the guest has acknowledged; 0 where `flags` ask for none. */
  readonly resampleFd: number;
}

/** A zeroed C struct to fill. */
export function block(layout: Shape): { bytes: Uint8Array<ArrayBuffer>; view: DataView } {
  const bytes = new Uint8Array(sizeof(layout));
  return { bytes, view: new DataView(bytes.buffer) };
}

/** `struct kvm_userspace_memory_region` of a region; with size 0 it removes the slot. */
export function encodeMemoryRegion(region: MemoryRegion, size: number): Uint8Array<ArrayBuffer> {
  const { bytes, view } = block(KvmUserspaceMemoryRegion);
  // bits: flags of the slot.
  const flags = (region.readonly ? KVM_MEM_READONLY : 0) |
    (region.logDirty ? KVM_MEM_LOG_DIRTY_PAGES : 0);
  view.setUint32(KvmUserspaceMemoryRegion.slot, region.slot, true);
  view.setUint32(KvmUserspaceMemoryRegion.flags, flags, true);
  const { guest_phys_addr, memory_size, userspace_addr } = KvmUserspaceMemoryRegion;
  view.setBigUint64(guest_phys_addr, BigInt(region.guestAddress), true);
  view.setBigUint64(memory_size, BigInt(size), true);
  // SAFETY: the region's owner keeps the memory mapped until the slot is removed or the VM is closed.
  view.setBigUint64(userspace_addr, BigInt(region.hostAddress), true);
  return bytes;
}

/** `struct kvm_irqfd`. */
export function encodeIrqfd({ fd, gsi, flags, resampleFd }: Irqfd): Uint8Array<ArrayBuffer> {
  const { bytes, view } = block(KvmIrqfd);
  view.setUint32(KvmIrqfd.fd, fd, true);
  view.setUint32(KvmIrqfd.gsi, gsi, true);
  view.setUint32(KvmIrqfd.flags, flags, true);
  view.setUint32(KvmIrqfd.resamplefd, resampleFd, true);
  return bytes;
}

/**
 * `struct kvm_ioeventfd`.
 *
 * @param flag 0, or `KVM_IOEVENTFD_FLAG_DEASSIGN`
 */
export function encodeIoEvent(event: IoEvent, flag: number): Uint8Array<ArrayBuffer> {
  const { bytes, view } = block(KvmIoeventfd);
  const matching = event.datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH;
  const port = event.port ? KVM_IOEVENTFD_FLAG_PIO : 0;
  view.setBigUint64(KvmIoeventfd.datamatch, BigInt(event.datamatch ?? 0), true);
  view.setBigUint64(KvmIoeventfd.addr, BigInt(event.address), true);
  view.setUint32(KvmIoeventfd.len, event.length, true);
  view.setInt32(KvmIoeventfd.fd, event.fd, true);
  // bits: flags of the event.
  view.setUint32(KvmIoeventfd.flags, flag | matching | port, true);
  return bytes;
}

/** `struct kvm_coalesced_mmio_zone`. */
export function encodeZone({ address, size, port }: CoalescedZone): Uint8Array<ArrayBuffer> {
  const { bytes, view } = block(KvmCoalescedMmioZone);
  view.setBigUint64(KvmCoalescedMmioZone.addr, BigInt(address), true);
  view.setUint32(KvmCoalescedMmioZone.size, size, true);
  view.setUint32(KvmCoalescedMmioZone.pio, port ? 1 : 0, true);
  return bytes;
}

/** `struct kvm_irq_routing` with these routes. */
export function encodeGsiRouting(routes: readonly GsiRoute[]): Uint8Array<ArrayBuffer> {
  const size = sizeof(KvmIrqRouting) + routes.length * sizeof(KvmIrqRoutingEntry);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(KvmIrqRouting.nr, routes.length, true);
  routes.forEach((route, i) => {
    writeRoute(view, sizeof(KvmIrqRouting) + i * sizeof(KvmIrqRoutingEntry), route);
  });
  return bytes;
}

function writeRoute(view: DataView, at: number, route: GsiRoute): void {
  const u = at + KvmIrqRoutingEntry.u;
  const type = "irqchip" in route ? KVM_IRQ_ROUTING_IRQCHIP : KVM_IRQ_ROUTING_MSI;
  view.setUint32(at + KvmIrqRoutingEntry.gsi, route.gsi, true);
  view.setUint32(at + KvmIrqRoutingEntry.type, type, true);
  if ("irqchip" in route) {
    view.setUint32(u + KvmIrqRoutingIrqchip.irqchip, route.irqchip, true);
    view.setUint32(u + KvmIrqRoutingIrqchip.pin, route.pin, true);
  } else {
    view.setBigUint64(u + KvmIrqRoutingMsi.address_lo, route.address, true);
    view.setUint32(u + KvmIrqRoutingMsi.data, route.data, true);
  }
}
