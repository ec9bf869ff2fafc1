/**
 * Which devices there are, as shared state with a generation number: devices come and go and windows move while every
 * vCPU worker sits in KVM_RUN and gets no messages, so each looks at the generation at its next exit.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { struct } from "../base/struct.ts";
import type { SharedLock, SharedState } from "../memory/shared_state.ts";
import type { DeviceDescriptor } from "./device_descriptor.ts";

const Header = struct({ generation: "u32", lock: "u32", length: "u32" });
const TEXT_OFFSET = 64;

/** Bytes of shared state that a table takes: room for the descriptors of a few hundred devices. */
export const DECODE_TABLE_SIZE = 128 * 1024;

/** The list of device descriptors in shared state. */
export class DecodeTable {
  readonly #state: SharedState;
  readonly #generation: number;
  readonly #length: number;
  readonly #lock: SharedLock;
  readonly #text: Uint8Array<SharedArrayBuffer>;

  /**
   * @param state where the table lives
   * @param offset of its block of {@linkcode DECODE_TABLE_SIZE} bytes
   */
  constructor(state: SharedState, offset: number) {
    this.#state = state;
    this.#generation = (offset + Header.generation) / 4;
    this.#length = (offset + Header.length) / 4;
    this.#lock = state.lock(offset + Header.lock);
    this.#text = state.bytes(offset + TEXT_OFFSET, DECODE_TABLE_SIZE - TEXT_OFFSET);
  }

  /** Changes with every change of the list; the one thing that a vCPU looks at on each exit. */
  get generation(): number {
    return Atomics.load(this.#state.words, this.#generation);
  }

  /** The devices, with the generation that the list had. */
  read(): { readonly generation: number; readonly devices: readonly DeviceDescriptor[] } {
    this.#lock.acquire();
    try {
      const length = Atomics.load(this.#state.words, this.#length);
      const text = new TextDecoder().decode(this.#text.slice(0, length));
      return {
        generation: this.generation,
        devices: length === 0 ? [] : JSON.parse(text) as DeviceDescriptor[],
      };
    } finally {
      this.#lock.release();
    }
  }

  /** Replaces the list. Only the isolate that owns the machine calls this. */
  write(devices: readonly DeviceDescriptor[]): void {
    const text = new TextEncoder().encode(JSON.stringify(devices));
    if (text.length > this.#text.length) {
      throw new VireoError(
        "range",
        `Cannot describe ${devices.length} devices in ${this.#text.length} bytes of shared state; use fewer devices`,
      );
    }
    this.#lock.acquire();
    try {
      this.#text.set(text);
      Atomics.store(this.#state.words, this.#length, text.length);
      Atomics.add(this.#state.words, this.#generation, 1);
    } finally {
      this.#lock.release();
    }
  }
}
