/**
 * Which bytes of guest memory are read, and how often: what a guest may change between two reads of it must be read once.
 *
 * @module
 */

/** The ways to read that are watched, and how many bytes each reads. */
const WAYS = { getUint8: 1, getUint16: 2, getUint32: 4 } as const;

/** Does something, and gives the offsets in `buffer` of all bytes that were read by DataViews meanwhile, in order. */
export function readsOf(buffer: ArrayBufferLike, action: () => void): number[] {
  const reads: number[] = [];
  const originals = { ...Object.getOwnPropertyDescriptors(DataView.prototype) };
  for (const [name, width] of Object.entries(WAYS) as [keyof typeof WAYS, number][]) {
    const read = DataView.prototype[name];
    DataView.prototype[name] = function (this: DataView, at: number, little?: boolean): number {
      if (this.buffer === buffer) {
        for (let i = 0; i < width; i++) reads.push(this.byteOffset + at + i);
      }
      return read.call(this, at, little);
    };
  }
  try {
    action();
  } finally {
    for (const name of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
      Object.defineProperty(DataView.prototype, name, originals[name]);
    }
  }
  return reads;
}

/** The offsets that occur more than once. */
export function readTwice(reads: readonly number[]): number[] {
  return reads.filter((offset, i) => reads.indexOf(offset) !== i);
}
