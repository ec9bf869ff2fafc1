/**
 * What guest RAM is made of: anonymous memory, huge pages, or a file.
 *
 * @module
 */

import { MADV_POPULATE_WRITE, O_CLOEXEC, O_CREAT, O_RDWR, S_IFREG } from "../abi/linux.ts";
import { ConfigError, errorText } from "../base/errors.ts";
import { HUGE_PAGE_SIZE, type MachineConfig } from "../config/machine_config.ts";
import { Fd } from "../host/fd.ts";
import { fileStatus, freeSpace, ftruncate, lockFile } from "../host/file.ts";
import { check } from "../host/libc.ts";
import { Mapping } from "../host/mapping.ts";

/** What of a description is about RAM. */
export type RamConfig = Pick<MachineConfig, "memory" | "memoryOptions">;

/** Opens the file that holds RAM, where the description names one, for this machine alone. */
export function openMemoryFile({ memory, memoryOptions: { path } }: RamConfig): Fd | undefined {
  if (path === undefined) return undefined;
  try {
    // bits: flags of open
    using fd = Fd.open(path, O_RDWR | O_CREAT | O_CLOEXEC);
    const { type, size } = fileStatus(fd.number);
    if (type !== S_IFREG) throw refusal(path, "it is no regular file; name another");
    if (lockFile(fd.number, true) < 0) {
      throw refusal(path, "another machine or program uses it; name another");
    }
    if (size !== 0 && size !== memory) {
      throw refusal(path, `it holds ${size} bytes of something else; remove it, or name another`);
    }
    requireSpace(fd.number, path, memory);
    return fd.move();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw refusal(path, errorText(error), error);
  }
}

/** A disk that gets full while the guest runs would end this process at a touch of its RAM. */
function requireSpace(fd: number, path: string, memory: number): void {
  // The file is emptied before its use: what is in it now is free then.
  check("ftruncate", ftruncate(fd, 0), `Cannot empty "${path}"`);
  const free = freeSpace(fd);
  if (free >= memory) return;
  const text = `its disk has ${Math.floor(free / 2 ** 20)} MiB left, and the RAM needs up to `;
  throw refusal(path, `${text}${memory / 2 ** 20} MiB; free some, or name a file elsewhere`);
}

function refusal(path: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError("memory.path", `Cannot keep RAM in "${path}": ${why}`, { cause });
}

/**
 * Gives RAM, one region after another, all of it zeros.
 *
 * @param config how large it is in all and what it is made of
 * @param file opened by {@linkcode openMemoryFile}
 */
export function ramAllocator(config: RamConfig, file?: Fd): (size: number) => Mapping {
  const { prealloc = false, lock = false } = config.memoryOptions;
  let offset = 0;
  return (size) => {
    if (file !== undefined && offset === 0) clear(file, config.memory);
    using stack = new DisposableStack();
    const mapping = stack.use(
      file === undefined ? anonymous(config, size) : Mapping.file(file.number, offset, size),
    );
    offset += size;
    if (prealloc) {
      explained("memory.prealloc", PREALLOC_HINT, () => mapping.advise(MADV_POPULATE_WRITE));
    }
    if (lock) explained("memory.lock", LOCK_HINT, () => mapping.lock());
    stack.move();
    return mapping;
  };
}

const PREALLOC_HINT =
  "the host has too little free memory, or a Linux older than 5.14; leave it out";
const LOCK_HINT = "the limit of locked memory is too low; raise `ulimit -l`, or leave it out";

/** A file that was used before is emptied, so that no guest finds what another has left. */
function clear(file: Fd, size: number): void {
  const context = "Cannot make the file of memory.path as large as the RAM";
  check("ftruncate", ftruncate(file.number, 0), context);
  check("ftruncate", ftruncate(file.number, size), context);
}

function anonymous({ memory, memoryOptions }: RamConfig, size: number): Mapping {
  const { shared = false, hugepages = false } = memoryOptions;
  // Huge pages that are not reserved would end the process at the guest's first touch.
  if (!hugepages) return Mapping.anonymous(size, { noReserve: true, shared });
  const pages = Math.ceil(memory / HUGE_PAGE_SIZE);
  const hint = `the host needs ${pages} free huge pages of 2 MiB; ` +
    `make them with sysctl vm.nr_hugepages=${pages}, or leave it out`;
  return explained(
    "memory.hugepages",
    hint,
    () => Mapping.anonymous(size, { shared, hugeTlb: true }),
  );
}

function explained<T>(key: string, hint: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new ConfigError(key, `${errorText(error)}: ${hint}`, { cause: error });
  }
}
