/**
 * Whether the files that a description names are there and can be opened. Nothing is changed and nothing kept open.
 *
 * @module
 */

import { O_APPEND, O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFDIR } from "../abi/linux.ts";
import { ConfigError, errnoText, problemText, SystemError } from "../base/errors.ts";
import type { Description } from "../config/description.ts";
import { machineOf } from "../config/machine_of.ts";
import type { Mistake } from "../config/mistake.ts";
import { openEntropyFile } from "../machine/entropy_file.ts";
import { openDisk } from "../machine/resources.ts";
import type { Resources } from "../machine/resources.ts";
import { Fd } from "../host/fd.ts";
import { fileStatus } from "../host/file.ts";
import { isFolder } from "../host/named_file.ts";
import { isStaleSocket } from "../host/unix_socket.ts";
import { dirname } from "../std/path.ts";

/** What the files are like. */
export interface FileCheck {
  readonly mistakes: readonly Mistake[];
  /** Disks with their sizes, as far as they could be opened; their descriptors are closed. */
  readonly disks: Resources["disks"];
  /** Bytes of the initrd, 0 for none or one that cannot be opened. */
  readonly initrdSize: number;
}

/** Looks at every file that a description names, but the kernel. */
export function checkFiles(description: Description): FileCheck {
  const { kernel, memory, console, serial, rng, log } = description;
  const source = rng.source.startsWith("/") ? rng.source : undefined;
  const disks = checkDisks(description);
  let initrdSize = 0;
  const mistakes = [
    ...attempt("kernel.initrd", kernel.initrd, "a file", (path) => {
      initrdSize = checkReadable(path);
    }),
    ...disks.mistakes,
    ...attempt("memory.path", memory.path, "a file of its own", checkWritable),
    ...checkBackend("console", console),
    ...checkBackend("serial", serial),
    ...attempt("rng.source", source, "a character device, a FIFO or a file", checkEntropy),
    ...attempt("log.file", log.file, "a file", checkWritable),
  ];
  return { mistakes, disks: disks.disks, initrdSize };
}

function attempt(
  key: string,
  path: string | undefined,
  allowed: string,
  check: (path: string) => void,
): Mistake[] {
  if (path === undefined) return [];
  try {
    check(path);
    return [];
  } catch (error) {
    const found = error instanceof ConfigError ? error.path : key;
    const problem = error instanceof SystemError
      ? `It cannot be opened: ${errnoText(error.errno)}`
      : problemText(error);
    return [{ key: found, value: JSON.stringify(path), problem, allowed }];
  }
}

function checkBackend(table: string, { backend, path }: Description["serial"]): Mistake[] {
  return backend === "unix"
    ? attempt(`${table}.path`, path, "a socket of its own", checkSocket)
    : attempt(`${table}.path`, path, "a file", checkWritable);
}

/** Looks whether it can be made, or the one that is there be replaced. */
function checkSocket(path: string): void {
  isStaleSocket(path);
  const folder = dirname(path);
  if (!isFolder(folder)) throw new TypeError(`"${folder}" is no folder`);
}

/** Opens it for reading; gives its size in bytes. */
function checkReadable(path: string): number {
  // bits: flags of open, without waiting for the other end of a FIFO
  using file = Fd.open(path, O_RDONLY | O_NONBLOCK);
  const { type, size } = fileStatus(file.number);
  if (type === S_IFDIR) throw new TypeError("It is a folder");
  return size;
}

/** Opens it for writing, or looks at the folder that it would be made in. */
function checkWritable(path: string): void {
  try {
    // bits: flags of open
    using _file = Fd.open(path, O_WRONLY | O_APPEND | O_NONBLOCK);
  } catch (error) {
    const code = error instanceof SystemError ? error.code : "";
    // A FIFO that nobody reads yet.
    if (code === "ENXIO") return;
    if (code !== "ENOENT") throw error;
    const folder = dirname(path);
    if (!isFolder(folder)) throw new TypeError(`"${folder}" is no folder`);
  }
}

function checkEntropy(path: string): void {
  using _file = openEntropyFile(path);
}

function checkDisks(description: Description): Omit<FileCheck, "initrdSize"> {
  const { disks = [] } = machineOf(description, { console: null, serial: null });
  const mistakes: Mistake[] = [];
  const images = disks.map((disk, index) => {
    const { readonly = false } = disk;
    const closed = (size: number) => {
      const fd = new Fd(CLOSED);
      return { fd, size, readonly, [Symbol.dispose]: () => {} };
    };
    if ("size" in disk) return closed(disk.size);
    const key = `disk[${index}].path`;
    let size = 0;
    const check = () => {
      using image = openDisk(disk, key);
      size = image.size;
    };
    mistakes.push(...attempt(key, disk.path, "an image or block device", check));
    return closed(size);
  });
  return { mistakes, disks: images };
}

/** No descriptor: what is planned with it is never run. */
const CLOSED = 2 ** 31 - 1;
