/**
 * What a machine needs opened on the host: done before anything else, checked, and kept over a restart. Backends get
 * descriptors, never paths.
 *
 * @module
 */

import { ConfigError, errorText } from "../base/errors.ts";
import type { DiskConfig, MachineConfig, ScratchDiskConfig } from "../config/machine_config.ts";
import type { Fd } from "../host/fd.ts";
import { type DiskImage, openImage, type OpenImageOptions } from "../storage/open_image.ts";
import { openEntropyFile } from "./entropy_file.ts";
import { openMemoryFile } from "./guest_ram.ts";

/** Everything opened for one machine description. */
export interface Resources extends Disposable {
  /** Images in the order of the description's disks. */
  readonly disks: readonly DiskImage[];
  /** The file that holds RAM, where the description names one. */
  readonly memory?: Fd;
  /** The file that entropy comes from, where the description names one. */
  readonly entropy?: Fd;
}

/**
 * Opens what a description names. What was opened before a failure is closed again.
 *
 * @param where where a disk was given, for errors; its place in the description where absent
 */
export function openResources(
  config:
    & Pick<MachineConfig, "disks">
    & Partial<Pick<MachineConfig, "memory" | "memoryOptions" | "rngOptions">>,
  where: (index: number) => string = (index) => `disks[${index}].path`,
): Resources {
  using stack = new DisposableStack();
  const disks = config.disks.map((disk, index) => stack.use(openDisk(disk, where(index))));
  const { memory = 0, memoryOptions = {} } = config;
  const file = openMemoryFile({ memory, memoryOptions });
  if (file !== undefined) stack.use(file);
  const path = config.rngOptions?.path;
  const entropy = path === undefined ? undefined : stack.use(openEntropyFile(path));
  const owned = stack.move();
  return {
    disks,
    ...(file === undefined ? {} : { memory: file }),
    ...(entropy === undefined ? {} : { entropy }),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/**
 * Opens one disk.
 *
 * @param where where it was given, for errors
 */
export function openDisk(disk: DiskConfig | ScratchDiskConfig, where: string): DiskImage {
  const { readonly = false } = disk;
  const options = { readonly, where, direct: disk.cache === "none" };
  return "size" in disk ? openScratch(disk.size, options) : openImage(disk.path, options);
}

/** An image whose file has no name any more as soon as it is open. */
function openScratch(size: number, options: OpenImageOptions): DiskImage {
  const path = scratchFile(size, options.where);
  try {
    return openImage(path, options);
  } finally {
    Deno.removeSync(path);
  }
}

function scratchFile(size: number, where: string): string {
  try {
    const path = Deno.makeTempFileSync({ prefix: "vireo-", suffix: ".img" });
    Deno.truncateSync(path, size);
    return path;
  } catch (error) {
    throw new ConfigError(
      where,
      `Cannot make a scratch disk of ${size} bytes: ${errorText(error)}; see that $TMPDIR has room`,
      { cause: error },
    );
  }
}
