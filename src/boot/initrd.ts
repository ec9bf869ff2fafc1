/**
 * Where the initial RAM disk goes.
 *
 * @module
 */

import { PAGE_SIZE } from "../arch/x86_64/layout.ts";
import { KernelError } from "./kernel_error.ts";

/** What bounds the place of an initrd. */
export interface InitrdBounds {
  /** Bytes of the initrd. */
  readonly size: number;
  /** First address that the kernel does not need for itself. */
  readonly floor: number;
  /** End of RAM below 4 GiB. */
  readonly ramEnd: number;
  /** Highest address that the kernel allows for its last byte. */
  readonly addressMax: number;
}

/**
 * The highest page-aligned address that is allowed, out of the kernel's way while it unpacks itself.
 *
 * @throws KernelError where there is no room
 */
export function initrdAddress({ size, floor, ramEnd, addressMax }: InitrdBounds): number {
  const end = Math.min(ramEnd, addressMax + 1);
  const address = Math.floor((end - size) / PAGE_SIZE) * PAGE_SIZE;
  if (address >= floor) return address;
  const room = Math.max(0, Math.floor((end - floor) / PAGE_SIZE) * PAGE_SIZE);
  const what = ramEnd <= addressMax
    ? `RAM has room for ${room} above the kernel; give the machine more memory or a smaller initrd`
    : `the kernel takes at most ${room} below 0x${addressMax.toString(16)}; make it smaller`;
  throw new KernelError(`Cannot place an initrd of ${size} bytes: ${what}`, "initrd");
}
