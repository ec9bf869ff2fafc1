/**
 * What both halves of a UART share: its registers, its input ring and its log.
 *
 * @module
 */

import {
  UART_IER_MSI,
  UART_IER_RDI,
  UART_IER_RLSI,
  UART_IER_THRI,
  UART_IIR_MSI,
  UART_IIR_NO_INT,
  UART_IIR_RDI,
  UART_IIR_RLSI,
  UART_IIR_RX_TIMEOUT,
  UART_IIR_THRI,
} from "../abi/devices.ts";
import { sizeof, struct } from "../base/struct.ts";
import type { SharedLock, SharedState } from "../memory/shared_state.ts";

/** Bytes of input that wait for the guest; a power of two. The guest sees 16 of them at a time. */
export const UART_INPUT_SIZE = 1024;

/** Bytes of output that are kept unless the plan says otherwise. */
export const UART_LOG_SIZE = 256 * 1024;

/**
 * A UART's shared state; zeros are its state after power-on. The log follows. Counters count bytes modulo 2 ** 32.
 * `written`: sent by the guest; `drained`: of these, what the back has written out; `put`: input from the back; `taken`: of
 * these, what the guest has read. `output_waiting`, `input_waiting`: the back sleeps until the front signals.
 */
export const UartState = struct({
  lock: "u32",
  written: "u32",
  drained: "u32",
  output_waiting: "u32",
  taken: "u32",
  put: "u32",
  input_waiting: "u32",
  ier: "u8",
  fcr: "u8",
  lcr: "u8",
  mcr: "u8",
  scr: "u8",
  dll: "u8",
  dlm: "u8",
  overrun: "u8",
  msr_delta: "u8",
  thre_pending: "u8",
  input: ["u8", UART_INPUT_SIZE],
});

/** Where the log begins in the UART's block. */
export const UART_LOG_OFFSET = sizeof(UartState);

const TRIGGERS = [1, 4, 8, 14] as const;
const S = UartState;

/** A UART's block of shared state. Everything but reading a counter or a register is done with the lock held. */
export class UartBlock {
  /** Guards the block. */
  readonly lock: SharedLock;
  /** What the guest has sent, at the byte's count modulo the length. */
  readonly log: Uint8Array<SharedArrayBuffer>;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #word: number;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;

  /**
   * @param state the machine's shared state
   * @param offset of the block
   * @param logSize bytes of log, a power of two
   */
  constructor(state: SharedState, offset: number, logSize: number) {
    this.lock = state.lock(offset + S.lock);
    this.log = state.bytes(offset + UART_LOG_OFFSET, logSize);
    this.#words = state.words;
    this.#word = offset / 4;
    this.#bytes = state.bytes(offset, UART_LOG_OFFSET);
  }

  /** A one-byte field. */
  get(field: number): number {
    return this.#bytes[field] ?? 0;
  }

  /** Sets a one-byte field. */
  set(field: number, value: number): void {
    this.#bytes[field] = value;
  }

  /** A counter or flag, unsigned. */
  word(field: number): number {
    return Atomics.load(this.#words, this.#word + field / 4) >>> 0;
  }

  /** Sets a counter or flag; a counter's higher bits are cut off. */
  setWord(field: number, value: number): void {
    Atomics.store(this.#words, this.#word + field / 4, value);
  }

  /** Appends a byte to the log. */
  appendLog(value: number): void {
    const written = this.word(S.written);
    this.log[written & (this.log.length - 1)] = value;
    this.setWord(S.written, written + 1);
  }

  /** Bytes of input that the guest has not read. */
  inputCount(): number {
    return (this.word(S.put) - this.word(S.taken)) >>> 0;
  }

  /** Adds a byte of input, for which there is room. */
  pushInput(value: number): void {
    const put = this.word(S.put);
    this.#bytes[S.input + (put & (UART_INPUT_SIZE - 1))] = value;
    this.setWord(S.put, put + 1);
  }

  /** Takes the oldest byte of input, of which there is one. */
  takeInput(): number {
    const taken = this.word(S.taken);
    this.setWord(S.taken, taken + 1);
    return this.get(S.input + (taken & (UART_INPUT_SIZE - 1)));
  }

  /** What IIR's low four bits say: the most urgent cause whose interrupt is enabled. */
  interruptCause(): number {
    const ier = this.get(S.ier);
    if (ier === 0) return UART_IIR_NO_INT;
    if ((ier & UART_IER_RLSI) !== 0 && this.get(S.overrun) !== 0) return UART_IIR_RLSI;
    const count = (ier & UART_IER_RDI) === 0 ? 0 : this.inputCount();
    if (count > 0) return count >= this.#trigger() ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
    if ((ier & UART_IER_THRI) !== 0 && this.get(S.thre_pending) !== 0) return UART_IIR_THRI;
    if ((ier & UART_IER_MSI) !== 0 && this.get(S.msr_delta) !== 0) return UART_IIR_MSI;
    return UART_IIR_NO_INT;
  }

  #trigger(): number {
    const fcr = this.get(S.fcr);
    return fcr === 0 ? 1 : TRIGGERS[(fcr >>> 6) & 3] ?? 1;
  }
}
