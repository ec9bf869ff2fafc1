/**
 * The descriptors by which an image is read and written: through the host's page cache, or past it.
 *
 * @module
 */

import type { DiskRequest } from "./disk.ts";

/** A second descriptor of the image, opened with O_DIRECT. */
export interface DirectFile {
  /** Its descriptor. */
  readonly fd: number;
  /** Power of two that places, addresses and lengths must be multiples of. */
  readonly alignment: number;
}

/** An opened image. */
export class ImageFile {
  /** Its descriptor, by which everything can be done. */
  readonly fd: number;
  readonly #direct: DirectFile | undefined;

  /**
   * Descriptors that the builder has opened and closes.
   *
   * @param fd of the image
   * @param direct for what is aligned; everything goes through the page cache where absent
   */
  constructor(fd: number, direct?: DirectFile) {
    this.fd = fd;
    this.#direct = direct;
  }

  /**
   * The descriptor for a read or write. A guest may ask for what direct I/O cannot do, such as 512 bytes of a disk with sectors of
   * 4 KiB: that goes through the page cache, which Linux keeps in step with direct I/O.
   */
  fdFor(request: DiskRequest): number {
    const direct = this.#direct;
    return direct !== undefined && request.isAligned(direct.alignment) ? direct.fd : this.fd;
  }
}
