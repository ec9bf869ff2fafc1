/**
 * Kernels that are packed with gzip as files, `vmlinux.gz`. A small file may unpack to any size, so that has a bound.
 *
 * @module
 */

import { concat } from "../base/bytes.ts";
import { errorText } from "../base/errors.ts";
import { refuse } from "./kernel_error.ts";
import { type KernelFile, MemoryFile, startsWith } from "./kernel_file.ts";

/** No kernel is larger than this, even with its debugging data. */
const MAX_SIZE = 2 ** 30;
/** What is read from the file at a time. */
const CHUNK_SIZE = 2 ** 18;
const GZIP_MAGIC = [0x1f, 0x8b];

/** Whether a file is packed with gzip. */
export function isGzip(file: KernelFile): boolean {
  return startsWith(file.read(0, GZIP_MAGIC.length), GZIP_MAGIC);
}

/**
 * The kernel in a gzip'd file, in memory.
 *
 * @param most bytes that it may unpack to, at most 1 GiB
 * @throws KernelError where the packed data are damaged or unpack to more
 */
export async function unzipKernel(file: KernelFile, most: number = MAX_SIZE): Promise<MemoryFile> {
  const stream = chunksOf(file).pipeThrough(new DecompressionStream("gzip"));
  const limit = Math.min(most, MAX_SIZE);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > limit) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw refuse(
      file.name,
      `its gzip data are damaged (${errorText(error)}); copy or download it again`,
    );
  }
  if (size > limit) {
    throw refuse(
      file.name,
      `it unpacks to more than ${limit} bytes; give the machine more memory, or pass a kernel`,
    );
  }
  return new MemoryFile(file.name, concat(chunks));
}

function chunksOf(file: KernelFile): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const chunk = file.read(at, CHUNK_SIZE);
      at += chunk.length;
      if (chunk.length === 0) controller.close();
      else controller.enqueue(chunk.slice());
    },
  });
}
