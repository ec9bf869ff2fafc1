/**
 * Memory from `mmap`: guest RAM, a vCPU's kvm_run page, rings shared with the kernel.
 *
 * A mapping is seen in other isolates by its address, a plain number of 47 bits; a view itself never goes through postMessage,
 * which would detach the sender's. After munmap a view keeps its length and touching it ends the process with SIGSEGV, so the
 * owner unmaps only when every isolate has let go.
 *
 * @module
 */

import {
  MADV_HUGEPAGE,
  MAP_ANONYMOUS,
  MAP_HUGETLB,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from "../abi/linux.ts";
import { SystemError, VireoError } from "../base/errors.ts";
import { check, errno, lockingCalls, mappingCalls, unmappingCalls } from "./libc.ts";

/** Most bytes of one view: V8 of Deno 2.7 ends the process at 32 GiB. */
export const VIEW_LIMIT = 16 * 2 ** 30;

/** `MAP_FAILED`, as a signed and as an unsigned pointer. */
const MAP_FAILED = 2n ** 64n - 1n;

/** How memory without a file is made. */
export interface AnonymousOptions {
  /** Don't count it against the host's commit limit: guests larger than free memory. */
  readonly noReserve?: boolean;
  /** Ask for transparent huge pages. */
  readonly hugePages?: boolean;
  /** Made of huge pages of the host's pool, reserved at once; the size is a multiple of them. */
  readonly hugeTlb?: boolean;
  /** Shared with child processes, as vhost-user and live migration want it; private otherwise. */
  readonly shared?: boolean;
}

/** One mmap. */
export class Mapping implements Disposable {
  /** Host address of its first byte, page-aligned. */
  readonly address: number;
  /** Bytes, as asked for. */
  readonly size: number;
  #views: readonly ArrayBuffer[] | undefined;
  #mapped = true;

  /**
   * A mapping and its owner.
   *
   * @param address of a mapping that this object unmaps from now on
   * @param size of it in bytes
   */
  constructor(address: number, size: number) {
    this.address = address;
    this.size = size;
  }

  /** Zeroed memory, read and write. */
  static anonymous(size: number, options: AnonymousOptions = {}): Mapping {
    const sharing = options.shared ? MAP_SHARED : MAP_PRIVATE;
    const huge = options.hugeTlb ? MAP_HUGETLB : 0;
    const flags = sharing | MAP_ANONYMOUS | huge | (options.noReserve ? MAP_NORESERVE : 0);
    const mapping = map(size, { prot: PROT_READ | PROT_WRITE, flags, fd: -1, offset: 0 });
    // A kernel without huge pages answers EINVAL: the memory is as good, only slower.
    if (options.hugePages) adviseRange(mapping.address, size, MADV_HUGEPAGE);
    return mapping;
  }

  /**
   * A file's or device's bytes, shared with it.
   *
   * @param fd descriptor's number; it may be closed afterwards
   * @param offset multiple of the page size
   * @param size in bytes
   * @param prot `PROT_*`
   */
  static file(fd: number, offset: number, size: number, prot = PROT_READ | PROT_WRITE): Mapping {
    return map(size, { prot, flags: MAP_SHARED, fd, offset });
  }

  /** The whole mapping as buffers of {@linkcode VIEW_LIMIT} bytes each, the last one shorter; made at the first call. */
  views(): readonly ArrayBuffer[] {
    if (!this.#mapped) throw new VireoError("closed", "Cannot use a mapping after its unmapping");
    return this.#views ??= viewTable(this.address, this.size);
  }

  /** The mapping as one buffer; for mappings of up to {@linkcode VIEW_LIMIT} bytes. */
  buffer(): ArrayBuffer {
    const [first, second] = this.views();
    if (!first || second) {
      throw new VireoError("range", `Cannot see ${this.size} bytes as one view: use views()`);
    }
    return first;
  }

  /**
   * Tells the kernel how pages are used.
   *
   * @param advice `MADV_*`
   * @param offset first byte, page-aligned
   * @param length bytes from there
   */
  advise(advice: number, offset = 0, length: number = this.size - offset): void {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw new VireoError("range", `Cannot advise ${length} bytes at ${offset} of ${this.size}`);
    }
    // SAFETY: the range was just checked against the mapping, which this object keeps.
    const error = adviseRange(this.address + offset, length, advice);
    if (error < 0) throw new SystemError("madvise", -error, "Cannot advise on memory");
  }

  /** Keeps all of it in the host's RAM, which brings every page in. */
  lock(): void {
    const start = pointer(this.address);
    const bytes = BigInt(this.size);
    const calls = lockingCalls();
    const result = calls.mlock(start, bytes);
    check("mlock", result < 0 ? -(errno[0] ?? 0) : result, "Cannot lock memory");
  }

  /** Unmaps; a second time does nothing. Every isolate has dropped its views before. */
  [Symbol.dispose](): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#views = undefined;
    unmappingCalls().munmap(pointer(this.address), BigInt(this.size));
  }
}

/** What `mmap` gets besides the size. */
interface MapArguments {
  readonly prot: number;
  readonly flags: number;
  readonly fd: number;
  readonly offset: number;
}

function map(size: number, { prot, flags, fd, offset }: MapArguments): Mapping {
  const calls = mappingCalls();
  const result = calls.mmap(null, BigInt(size), prot, flags, fd, BigInt(offset));
  const error = errno[0] ?? 0;
  const address = BigInt.asUintN(64, Deno.UnsafePointer.value(result));
  if (address === MAP_FAILED) {
    throw new SystemError("mmap", error, `Cannot map ${size} bytes`);
  }
  return new Mapping(Number(address), size);
}

/**
 * A view of memory that another isolate mapped and keeps mapped.
 *
 * @param address host address
 * @param length bytes, up to {@linkcode VIEW_LIMIT}
 */
export function viewAt(address: number, length: number): ArrayBuffer {
  if (length > VIEW_LIMIT) throw new VireoError("range", `Cannot view ${length} bytes at once`);
  const start = pointer(address);
  if (!start) throw new VireoError("range", "Cannot view memory at address 0");
  // SAFETY: the caller got the address from the mapping's owner, who keeps it until this isolate has ended.
  return Deno.UnsafePointerView.getArrayBuffer(start, length);
}

/**
 * The same for memory of any size: buffers of {@linkcode VIEW_LIMIT} bytes each, the last one shorter.
 *
 * @param address host address
 * @param size bytes
 */
export function viewTable(address: number, size: number): readonly ArrayBuffer[] {
  const table: ArrayBuffer[] = [];
  for (let at = 0; at < size; at += VIEW_LIMIT) {
    table.push(viewAt(address + at, Math.min(VIEW_LIMIT, size - at)));
  }
  return table;
}

/**
 * `madvise` on a range of host addresses: 0 or a negative errno.
 *
 * @param advice `MADV_*`
 */
export function adviseRange(address: number, length: number, advice: number): number {
  const start = pointer(address);
  const bytes = BigInt(length);
  const calls = unmappingCalls();
  const result = calls.madvise(start, bytes, advice);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** A host address as FFI takes it. */
export function pointer(address: number): Deno.PointerValue {
  return Deno.UnsafePointer.create(BigInt(address));
}

/**
 * Where bytes of JavaScript lie, for a struct that holds a pointer.
 *
 * SAFETY: the caller uses `bytes` after the call that gets the address, so that they live through it; memory of an ArrayBuffer
 * never moves.
 */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** `size` rounded up to whole pages of the host. */
export function pageAlign(size: number): number {
  return Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
}
