/**
 * A pseudo-terminal: a device that any terminal program can open, with us at its other end.
 *
 * @module
 */

import { O_NOCTTY, O_RDWR, TCGETS, TCSETS, Termios, TIOCGPTN, TIOCSPTLCK } from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";
import { Fd } from "./fd.ts";
import { ioctlBytes } from "./ioctl.ts";
import { check } from "./libc.ts";

/** A pseudo-terminal whose device passes bytes as they are. */
export class Pty implements Disposable {
  /** Our end. */
  readonly master: Fd;
  /** The device to open: `/dev/pts/3`. */
  readonly path: string;
  /** Kept open, since without anybody at the device reading our end fails. */
  readonly #device: Fd;

  private constructor(master: Fd, path: string, device: Fd) {
    this.master = master;
    this.path = path;
    this.#device = device;
  }

  /** Makes one. */
  static open(): Pty {
    using stack = new DisposableStack();
    // bits: flags of open
    const master = stack.use(Fd.open("/dev/ptmx", O_RDWR | O_NOCTTY));
    const context = "Cannot make a pseudo-terminal";
    const unlocked = new Uint8Array(4);
    check("ioctl(TIOCSPTLCK)", ioctlBytes(master.number, TIOCSPTLCK, unlocked), context);
    const index = new Uint32Array(1);
    const bytes = new Uint8Array(index.buffer);
    check("ioctl(TIOCGPTN)", ioctlBytes(master.number, TIOCGPTN, bytes), context);
    const path = `/dev/pts/${index[0]}`;
    const device = stack.use(Fd.open(path, O_RDWR | O_NOCTTY));
    makeRaw(device, context);
    stack.move();
    return new Pty(master, path, device);
  }

  /** Closes both ends. */
  [Symbol.dispose](): void {
    this.#device.close();
    this.master.close();
  }
}

/** What we write is not echoed back to us, and no byte means anything to the kernel. */
function makeRaw(device: Fd, context: string): void {
  const bytes = new Uint8Array(sizeof(Termios));
  check("ioctl(TCGETS)", ioctlBytes(device.number, TCGETS, bytes), context);
  const view = new DataView(bytes.buffer);
  for (const flags of [Termios.c_iflag, Termios.c_oflag, Termios.c_lflag]) {
    view.setUint32(flags, 0, true);
  }
  check("ioctl(TCSETS)", ioctlBytes(device.number, TCSETS, bytes), context);
}
