/**
 * A bounded queue of bytes between a guest that must not wait and a descriptor that may.
 *
 * @module
 */

/** Bytes in the order they came, up to a fixed count. */
export class ByteRing {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #head = 0;
  #length = 0;

  /**
   * An empty ring.
   *
   * @param capacity most bytes it holds
   */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that still fit. */
  get free(): number {
    return this.#bytes.length - this.#length;
  }

  /** Where the next bytes go: up to {@linkcode ByteRing.free}, fewer where the ring's end is near. Follow with `commit`. */
  room(limit: number): Uint8Array<ArrayBuffer> {
    const start = (this.#head + this.#length) % this.#bytes.length;
    const end = Math.min(start + Math.min(limit, this.free), this.#bytes.length);
    return this.#bytes.subarray(start, end);
  }

  /** Adds the first `count` bytes of what {@linkcode ByteRing.room} gave. */
  commit(count: number): void {
    this.#length += count;
  }

  /** Adds as many bytes as fit; gives how many those were. */
  push(bytes: Uint8Array): number {
    let added = 0;
    while (added < bytes.length && this.free > 0) {
      const room = this.room(bytes.length - added);
      room.set(bytes.subarray(added, added + room.length));
      this.commit(room.length);
      added += room.length;
    }
    return added;
  }

  /** The oldest bytes, at most `limit`, fewer where the ring's end is near. They stay until `drop`. */
  peek(limit: number): Uint8Array<ArrayBuffer> {
    const count = Math.min(limit, this.#length, this.#bytes.length - this.#head);
    return this.#bytes.subarray(this.#head, this.#head + count);
  }

  /** Forgets the oldest `count` bytes. */
  drop(count: number): void {
    this.#head = (this.#head + count) % this.#bytes.length;
    this.#length -= count;
  }

  /** Forgets everything. */
  clear(): void {
    this.drop(this.#length);
  }
}
