/**
 * A kernel's file, opened.
 *
 * @module
 */

import { O_NONBLOCK, O_RDONLY, S_IFBLK, S_IFREG } from "../abi/linux.ts";
import { errnoText } from "../base/errors.ts";
import { Fd } from "../host/fd.ts";
import { fileStatus, pread } from "../host/file.ts";
import { refuse } from "./kernel_error.ts";
import type { KernelFile } from "./kernel_file.ts";

/** A kernel's file on disk. */
export class OpenKernel implements KernelFile, Disposable {
  readonly name: string;
  readonly size: number;
  /** Open for reading. */
  readonly fd: Fd;

  /**
   * Opens it.
   *
   * @throws SystemError where it cannot be opened, KernelError where it is no file
   */
  constructor(path: string) {
    using stack = new DisposableStack();
    // bits: flags of open, without waiting for the other end of a FIFO
    const fd = stack.use(Fd.open(path, O_RDONLY | O_NONBLOCK));
    const { type, size } = fileStatus(fd.number, `Cannot read kernel "${path}"`);
    if (type !== S_IFREG && type !== S_IFBLK) throw refuse(path, "it is no file; name a kernel");
    this.name = path;
    this.size = size;
    this.fd = fd;
    stack.move();
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    const count = pread(this.fd.number, bytes, offset);
    if (count < 0) throw refuse(this.name, `it cannot be read: ${errnoText(-count)}`);
    return bytes.subarray(0, count);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}
