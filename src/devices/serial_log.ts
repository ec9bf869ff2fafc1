/**
 * What a guest has sent to its UART, read from the ring in shared state while the guest goes on: the kernel's log.
 *
 * @module
 */

import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { UartBlock, UartState } from "./uart16550_state.ts";

/** A piece of the log. */
export interface LogPiece {
  /** What was sent, oldest first. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that came before these, were asked for, and are overwritten. */
  readonly lost: number;
}

/** One reader of a UART's log, with a position of its own. It takes no lock, so that it never holds up a vCPU. */
export class SerialLog {
  readonly #uart: UartBlock;
  /** Count of the first byte that {@linkcode SerialLog.read} has not given, modulo 2 ** 32. */
  #position = 0;

  /**
   * Starts at the first byte that the guest sent.
   *
   * @param state the machine's shared state
   * @param descriptor of the UART
   */
  constructor(state: SharedState, descriptor: DeviceDescriptor) {
    this.#uart = new UartBlock(state, descriptor.state, Number(descriptor.options["logSize"]));
  }

  /** How many bytes the guest has sent, modulo 2 ** 32. */
  get written(): number {
    return this.#uart.word(UartState.written);
  }

  /** What came since the last read. A reader that stays away for 4 GiB of log doesn't notice all that it lost. */
  read(): LogPiece {
    const end = this.written;
    const piece = this.#copy((end - this.#position) >>> 0, end);
    this.#position = end;
    return piece;
  }

  /** The last bytes, at most `length` of them, without moving the position. */
  tail(length: number): Uint8Array<ArrayBuffer> {
    const end = this.written;
    // The count begins anew after 4 GiB: right after that a tail may be shorter than it could be.
    return this.#copy(Math.min(length, end), end).bytes;
  }

  /** Copies the `length` bytes before `end`, but what is overwritten, before the copy or while it goes on. */
  #copy(length: number, end: number): LogPiece {
    const size = this.#uart.log.length;
    const kept = Math.min(length, size);
    const bytes = new Uint8Array(kept);
    const start = (end - kept) % size;
    const at = start < 0 ? start + size : start;
    const first = Math.min(kept, size - at);
    bytes.set(this.#uart.log.subarray(at, at + first));
    bytes.set(this.#uart.log.subarray(0, kept - first), first);
    const since = (this.written - end) >>> 0;
    const overwritten = Math.min(kept, Math.max(0, kept + since - size));
    return { bytes: bytes.subarray(overwritten), lost: length - kept + overwritten };
  }
}
