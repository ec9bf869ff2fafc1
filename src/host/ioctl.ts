/**
 * `ioctl` in its three shapes, all by one symbol: a second one would cost each isolate more than the pointers that two of the
 * shapes allocate. All give the call's result or a negative errno.
 *
 * @module
 */

import { errno, ioctlCalls } from "./libc.ts";
import { pointer } from "./mapping.ts";

/** Opens the symbol ahead of its first use, where an isolate has the time for it. */
export function openIoctl(): void {
  ioctlCalls();
}

/**
 * An ioctl without an argument: KVM_RUN and the like. Allocates nothing.
 *
 * @param fd descriptor's number
 * @param request the ioctl's number
 */
export function ioctl(fd: number, request: number): number {
  const result = ioctlCalls().ioctl(fd, request, null);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * An ioctl whose argument is a number.
 *
 * @param value the argument itself, up to 53 bits
 */
export function ioctlNumber(fd: number, request: number, value: number): number {
  const argument = value === 0 ? null : pointer(value);
  const result = ioctlCalls().ioctl(fd, request, argument);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/**
 * An ioctl that reads or writes a C struct.
 *
 * @param bytes the struct; as long as the request says, which the caller has made sure of
 */
export function ioctlBytes(fd: number, request: number, bytes: Uint8Array<ArrayBuffer>): number {
  // SAFETY: `bytes` lives through the call, and the kernel keeps no pointer into a struct that KVM's ioctls get.
  const result = ioctlCalls().ioctl(fd, request, Deno.UnsafePointer.of(bytes));
  return result < 0 ? -(errno[0] ?? 0) : result;
}
