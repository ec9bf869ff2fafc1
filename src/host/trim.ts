/**
 * Gives back memory that starting up touched and running does not need.
 *
 * @module
 */

import { MADV_DONTNEED, O_RDONLY } from "../abi/linux.ts";
import { Fd } from "./fd.ts";
import { read } from "./file.ts";
import { trimmingCalls } from "./libc.ts";
import { adviseRange } from "./mapping.ts";

/** One line of /proc/self/maps: address range, permissions, and the file's path. */
const LINE = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ \d+ +(\/.*)$/;

/**
 * Lets go of what starting up took: code of the program and its libraries, and what the C library keeps of memory that was freed.
 *
 * @returns bytes of address space of the code
 */
export function trimMemory(): number {
  trimHeap();
  return trimText();
}

/** Gives the kernel the free pages of the C library's heaps, of which each thread has one: 4 MiB a worker and more. */
export function trimHeap(): void {
  trimmingCalls().malloc_trim(0);
}

/**
 * Lets go of pages of code (`r-xp` mappings of files and the program's first `r--p`): 25 MiB. The kernel reads them again from the
 * file where they are needed. Never data: that has no other copy.
 *
 * @returns bytes of address space advised on; 0 where /proc can't be read
 */
function trimText(): number {
  let bytes = 0;
  for (const { start, end } of textRanges(readMaps())) {
    // SAFETY: private file mappings that nobody writes: their pages come back from the file, unchanged.
    if (adviseRange(start, end - start, MADV_DONTNEED) === 0) bytes += end - start;
  }
  return bytes;
}

/**
 * Address ranges of code, and of the constants that a program begins with: the program is the file that /proc/self/maps begins
 * with. What a library has for constants may have been relocated, and stays.
 */
export function textRanges(maps: string): { start: number; end: number }[] {
  const ranges: { start: number; end: number }[] = [];
  let program: string | undefined;
  let readonlySeen = false;
  for (const line of maps.split("\n")) {
    const [, start = "", end = "", permissions, path] = LINE.exec(line) ?? [];
    if (path === undefined) continue;
    program ??= path;
    const isFirst: boolean = permissions === "r--p" && path === program && !readonlySeen;
    readonlySeen ||= isFirst;
    if (isFirst || permissions === "r-xp") {
      ranges.push({ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) });
    }
  }
  return ranges;
}

function readMaps(): string {
  using fd = Fd.open("/proc/self/maps", O_RDONLY);
  const chunk = new Uint8Array(65536);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const count = read(fd.number, chunk);
    if (count <= 0) return text;
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
  }
}
