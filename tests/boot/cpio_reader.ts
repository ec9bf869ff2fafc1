/** A reader of newc archives for tests, written from the kernel's description, not from the writer. */

/** One entry as it lies in the archive. */
export interface ReadEntry {
  readonly path: string;
  readonly mode: number;
  readonly inode: number;
  readonly links: number;
  readonly data: Uint8Array;
  readonly device: readonly [number, number];
}

/** Reads archives that stand one behind the other, as Linux' unpack_to_rootfs does; trailers are left out. */
export function readCpio(archive: Uint8Array): ReadEntry[] {
  const entries: ReadEntry[] = [];
  const text = new TextDecoder();
  let at = 0;
  while (at < archive.length) {
    if (archive[at] === 0) {
      at += 4;
      continue;
    }
    const header = text.decode(archive.subarray(at, at + 110));
    if (!/^070701[0-9A-Fa-f]{104}$/.test(header)) throw new Error(`No newc header at ${at}`);
    const field = (index: number) => parseInt(header.slice(6 + index * 8, 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    if (archive[nameEnd - 1] !== 0) throw new Error(`Name at ${at} has no NUL`);
    const path = text.decode(archive.subarray(at + 110, nameEnd - 1));
    const dataAt = nameEnd + ((4 - (nameEnd % 4)) % 4);
    const dataEnd = dataAt + field(6);
    if (dataEnd > archive.length) throw new Error(`${path} reaches past the archive`);
    if (path !== "TRAILER!!!") {
      entries.push({
        path,
        mode: field(1),
        inode: field(0),
        links: field(4),
        data: archive.subarray(dataAt, dataEnd),
        device: [field(9), field(10)],
      });
    }
    at = dataEnd + ((4 - (dataEnd % 4)) % 4);
  }
  return entries;
}
