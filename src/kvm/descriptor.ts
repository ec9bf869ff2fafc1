/**
 * What the three kinds of KVM descriptors have in common.
 *
 * @module
 */

import type { KvmIoctlName } from "../abi/kvm.ts";
import { VireoError } from "../base/errors.ts";
import { type IoctlArgument, ioctlError, type KvmDriver, tryIoctl } from "./driver.ts";

const CLOSED = -1;

/** A descriptor of /dev/kvm, of a VM or of a vCPU: its driver, its number, and who closes it. */
export class KvmDescriptor implements Disposable {
  /** The kernel's door, the same for every descriptor of a machine. */
  readonly driver: KvmDriver;
  readonly #owned: boolean;
  #fd: number;

  /**
   * A descriptor and its driver.
   *
   * @param driver that opened it
   * @param fd its number
   * @param owned whether dispose closes it; false for a number that came from another isolate
   */
  constructor(driver: KvmDriver, fd: number, owned = true) {
    this.driver = driver;
    this.#fd = fd;
    this.#owned = owned;
  }

  /** The descriptor's number; throws with kind `closed` after dispose. */
  get fd(): number {
    if (this.#fd < 0) throw new VireoError("closed", "Cannot use a KVM descriptor after its close");
    return this.#fd;
  }

  /**
   * An ioctl by name; throws {@linkcode SystemError} with the ioctl's name.
   *
   * @param context what was being done, for the message: `Cannot create a VM`
   * @param argument a number, or a C struct as bytes
   */
  control(name: KvmIoctlName, context: string, argument: IoctlArgument = 0): number {
    const result = this.tryControl(name, argument);
    if (result < 0) throw ioctlError(name, result, context);
    return result;
  }

  /** The same, with a negative errno instead of an error. */
  tryControl(name: KvmIoctlName, argument: IoctlArgument = 0): number {
    return tryIoctl(this.driver, this.fd, name, argument);
  }

  /**
   * An ioctl that has no method here: the raw door.
   *
   * @param request the ioctl's number
   * @param argument a number, or a C struct as bytes, as long as the request says
   * @returns its result, or a negative errno
   */
  ioctl(request: number, argument: IoctlArgument = 0): number {
    return this.driver.ioctl(this.fd, request, argument);
  }

  /** Closes it where it is owned; a second time does nothing. */
  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = CLOSED;
    if (this.#owned) this.driver.close(fd);
  }
}
