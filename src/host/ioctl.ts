/**
 * `ioctl` in its three shapes. All three give the call's result or a negative errno and allocate nothing, but for
 * {@linkcode ioctlNumber} of a number other than 0.
 *
 * @module
 */

import { errno, ioctlBytesCalls, ioctlCalls } from "./libc.ts";
import { pointer } from "./mapping.ts";

/**
 * An ioctl without an argument: KVM_RUN and the like.
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
  const result = ioctlBytesCalls().ioctl(fd, request, bytes);
  return result < 0 ? -(errno[0] ?? 0) : result;
}
