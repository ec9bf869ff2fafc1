/**
 * Which release a kernel is, so that the modules that fit it are found.
 *
 * @module
 */

import { setup_header, SETUP_HEADER_OFFSET } from "../abi/boot.ts";
import { viewOf } from "../base/bytes.ts";
import { errorText, VireoError } from "../base/errors.ts";
import { isElf } from "./elf_kernel.ts";
import { isGzip, unzipKernel } from "./gzip_kernel.ts";
import { KernelError } from "./kernel_error.ts";
import { type KernelFile } from "./kernel_file.ts";
import { OpenKernel } from "./open_kernel.ts";

/** Where `kernel_version` counts from (boot.rst). */
const VERSION_BASE = 0x200;
/** As much of a bzImage as its version may lie in. */
const HEAD_SIZE = 0x8000;
/** An ELF kernel is searched so far. */
const MAX_SIZE = 2 ** 28;
/** What is searched at a time. */
const CHUNK_SIZE = 2 ** 20;
/** Longer than any release with what stands around it. */
const OVERLAP = 256;

/** The release that a kernel says it is, `6.1.0-9-cloud-amd64`; undefined for one that doesn't. */
export async function kernelRelease(path: string): Promise<string | undefined> {
  try {
    using opened = new OpenKernel(path);
    const file = isGzip(opened) ? await unzipKernel(opened) : opened;
    const head = file.read(0, HEAD_SIZE);
    return isElf(head) ? elfRelease(file) : bzImageRelease(head);
  } catch (error) {
    if (error instanceof KernelError) throw error;
    const message = `Cannot read kernel "${path}": ${errorText(error)}`;
    throw new VireoError("load_memory", message, { cause: error });
  }
}

function elfRelease(file: KernelFile): string | undefined {
  for (let at = 0; at < Math.min(file.size, MAX_SIZE); at += CHUNK_SIZE) {
    const text = LATIN1.decode(file.read(at, CHUNK_SIZE + OVERLAP));
    const release = BANNER.exec(text)?.[1];
    if (release !== undefined) return release;
  }
  return undefined;
}

const LATIN1 = new TextDecoder("latin1");
/** The banner that every Linux has among its data. */
const BANNER = /Linux version (\d[\w.+~-]*) \(/;

function bzImageRelease(head: Uint8Array): string | undefined {
  const pointer = SETUP_HEADER_OFFSET + setup_header.kernel_version;
  if (head.length < pointer + 2) return undefined;
  const at = viewOf(head).getUint16(pointer, true);
  if (at === 0) return undefined;
  const text = LATIN1.decode(head.subarray(at + VERSION_BASE, at + VERSION_BASE + OVERLAP));
  return /^([\w.+~-]+)[\s\0]/.exec(text)?.[1];
}
