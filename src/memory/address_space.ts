/**
 * Who owns which guest physical addresses: RAM, windows at fixed addresses, and windows that were given a place above RAM.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { GuestAddress } from "./guest_address.ts";

/** A named range of guest physical addresses. */
export interface AddressRange {
  /** Whose it is, unique in its address space. */
  readonly name: string;
  /** First address. */
  readonly address: GuestAddress;
  /** Bytes. */
  readonly size: number;
}

/** What a window above RAM has to be like. */
export interface AllocationRequest {
  /** Whose it will be. */
  readonly name: string;
  /** Bytes, above 0; rounded up to whole units of the alignment. */
  readonly size: number;
  /** A power of two; a page where it is absent or smaller, so that no two windows share a page. */
  readonly alignment?: number;
}

/** What is known of an address space from the start. */
export interface AddressSpaceOptions {
  /** Width of a guest physical address, 32 to 52: KVM's answer to CPUID 0x80000008. */
  readonly physicalBits: number;
  /** Nothing is allocated below this address, even if RAM ends earlier; 0 where absent. */
  readonly allocateFrom?: GuestAddress;
  /** Ranges where a device would never see an access, such as the IOAPIC's in a machine with one in the kernel. */
  readonly reserved?: readonly AddressRange[];
}

type RangeKind = "ram" | "fixed" | "allocated";

interface Owned extends AddressRange {
  readonly kind: RangeKind;
}

const PAGE = 4096;

/** The guest physical address space of one machine; ranges in it never overlap. */
export class AddressSpace {
  /** First address that doesn't exist. */
  readonly limit: GuestAddress;
  readonly #allocateFrom: GuestAddress;
  /** In ascending order. */
  #ranges: readonly Owned[] = [];

  /** @param options width, and what is taken from the start */
  constructor(options: AddressSpaceOptions) {
    this.limit = 2 ** options.physicalBits;
    this.#allocateFrom = options.allocateFrom ?? 0;
    for (const range of options.reserved ?? []) this.addFixed(range);
  }

  /** Adds RAM, in whole pages. */
  addRam(range: AddressRange): void {
    if (range.address % PAGE !== 0 || range.size % PAGE !== 0) {
      throw rangeError(range, "RAM comes in whole pages of 4096 bytes");
    }
    this.#add({ ...range, kind: "ram" });
  }

  /** Adds a window whose address is given. */
  addFixed(range: AddressRange): void {
    this.#add({ ...range, kind: "fixed" });
  }

  /** Finds a place above all RAM, the lowest that fits, and adds a window there. */
  allocate(request: AllocationRequest): AddressRange {
    const alignment = Math.max(request.alignment ?? PAGE, PAGE);
    if (!isPowerOfTwo(request.alignment ?? PAGE)) {
      throw requestError(request, `the alignment ${request.alignment} is not a power of two`);
    }
    if (!Number.isSafeInteger(request.size) || request.size <= 0) {
      throw requestError(request, "the size must be a whole number of bytes above 0");
    }
    const size = alignUp(request.size, alignment);
    const address = this.#place(size, alignment);
    if (address + size > this.limit) {
      throw requestError(request, `the address space ends at ${hex(this.limit)}`);
    }
    this.#add({ name: request.name, address, size, kind: "allocated" });
    return Object.freeze({ name: request.name, address, size });
  }

  /** Gives up the range called `name`; one that is not there is no error. */
  remove(name: string): void {
    this.#ranges = this.#ranges.filter((range) => range.name !== name);
  }

  /** First address above all RAM. */
  get ramEnd(): GuestAddress {
    return this.ram().reduce((end, { address, size }) => Math.max(end, address + size), 0);
  }

  /** All RAM in ascending order, as a copy. */
  ram(): AddressRange[] {
    return this.#list("ram");
  }

  /** All windows at given addresses in ascending order, as a copy. */
  fixed(): AddressRange[] {
    return this.#list("fixed");
  }

  /** All windows that {@linkcode AddressSpace.allocate} placed in ascending order, as a copy. */
  allocations(): AddressRange[] {
    return this.#list("allocated");
  }

  #list(kind: RangeKind): AddressRange[] {
    return this.#ranges.filter((range) => range.kind === kind)
      .map(({ name, address, size }) => ({ name, address, size }));
  }

  #place(size: number, alignment: number): GuestAddress {
    let address = alignUp(Math.max(this.ramEnd, this.#allocateFrom), alignment);
    for (const range of this.#ranges) {
      if (address + size <= range.address) break;
      address = Math.max(address, alignUp(range.address + range.size, alignment));
    }
    return address;
  }

  #add(added: Owned): void {
    if (!Number.isSafeInteger(added.address) || added.address < 0) {
      throw rangeError(added, "the address must be a whole number, 0 or above");
    }
    if (!Number.isSafeInteger(added.size) || added.size <= 0) {
      throw rangeError(added, "the size must be a whole number of bytes above 0");
    }
    const end = added.address + added.size;
    if (end > this.limit) {
      throw rangeError(
        added,
        `guest physical addresses have ${
          Math.log2(this.limit)
        } bits on this host; use less memory or a lower address`,
      );
    }
    for (const other of this.#ranges) {
      if (other.name === added.name) {
        throw rangeError(added, "that name is taken; give each range a name of its own");
      }
      if (added.address < other.address + other.size && other.address < end) {
        throw rangeError(added, `${show(other)} is there; give one of them another address`);
      }
    }
    this.#ranges = [...this.#ranges, added].sort((a, b) => a.address - b.address);
  }
}

function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function rangeError(range: AddressRange, why: string): VireoError {
  return new VireoError("range", `Cannot place ${show(range)}: ${why}`);
}

function requestError(request: AllocationRequest, why: string): VireoError {
  return new VireoError(
    "range",
    `Cannot find a place for ${request.size} bytes of "${request.name}": ${why}`,
  );
}

function show({ name, address, size }: AddressRange): string {
  return `"${name}" at ${hex(address)}-${hex(address + size - 1)}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
