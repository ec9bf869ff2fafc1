/**
 * The door between this room and the kernel, as an interface, so that tests can make every stage of building a machine fail.
 *
 * @module
 */

import { EINTR } from "../abi/linux.ts";
import { KvmIoctl, type KvmIoctlName } from "../abi/kvm.ts";
import { SystemError } from "../base/errors.ts";
import { closeNumber, openPath } from "../host/fd.ts";
import { ioctl, ioctlBytes, ioctlNumber } from "../host/ioctl.ts";
import { Mapping } from "../host/mapping.ts";
import { PlainThread } from "../host/plain_thread.ts";

/** An ioctl's argument: nothing (0), a number, or a C struct. */
export type IoctlArgument = number | Uint8Array<ArrayBuffer>;

/** What this room needs of a kernel. Results are negative errnos where a call fails. */
export interface KvmDriver {
  /** Opens a path: a descriptor or a negative errno. */
  open(path: string, flags: number): number;
  /** Closes a descriptor of any of the three kinds. */
  close(fd: number): void;
  /** Any ioctl but KVM_RUN. */
  ioctl(fd: number, request: number, argument: IoctlArgument): number;
  /** KVM_RUN, which neither allocates nor checks anything. */
  run(fd: number): number;
  /** A KVM_RUN in a thread of its own; throws {@linkcode SystemError}. */
  runApart(fd: number): PlainThread;
  /** Maps a vCPU's kvm_run pages; throws {@linkcode SystemError}. */
  mapVcpu(fd: number, size: number): Mapping;
}

/** The kernel itself. */
export const hostDriver: KvmDriver = {
  open: openPath,
  close: closeNumber,
  ioctl(fd, request, argument) {
    return typeof argument === "number"
      ? ioctlNumber(fd, request, argument)
      : ioctlBytes(fd, request, argument);
  },
  run: (fd) => ioctl(fd, KvmIoctl.KVM_RUN),
  runApart: (fd) => PlainThread.start(["ioctl", fd, KvmIoctl.KVM_RUN, 0]),
  mapVcpu: (fd, size) => Mapping.file(fd, 0, size),
};

/** Some set-up ioctls take locks that a signal can interrupt; more often than this is not a signal any more. */
const INTERRUPTIONS = 1000;

/**
 * An ioctl by name, tried again when a signal came in between.
 *
 * @param context what was being done, for the error's message
 * @returns its result, or a negative errno
 */
export function tryIoctl(
  driver: KvmDriver,
  fd: number,
  name: KvmIoctlName,
  argument: IoctlArgument = 0,
): number {
  let result = -EINTR;
  for (let i = 0; result === -EINTR && i < INTERRUPTIONS; i++) {
    result = driver.ioctl(fd, KvmIoctl[name], argument);
  }
  return result;
}

/** The error of a failed ioctl. */
export function ioctlError(name: string, result: number, context: string): SystemError {
  return new SystemError(`ioctl(${name})`, -result, context);
}
