/**
 * The back of a UART: writes out what the guest sends, and feeds it input as far as it reads.
 *
 * @module
 */

import { EAGAIN, EINTR, EPOLLIN } from "../abi/linux.ts";
import { UART_IER_RDI } from "../abi/devices.ts";
import { errnoText } from "../base/errors.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import { CharacterBackend } from "../host/character_backend.ts";
import { EventFd } from "../host/fd.ts";
import type { Back, BackContext } from "./back.ts";
import { UART_INPUT_SIZE, UartBlock, UartState } from "./uart16550_state.ts";

/** Bytes moved by one call. */
const CHUNK = 4096;
/** Calls in a row before the worker's other devices get their turn. */
const BATCH = 16;
/** Input that is read ahead; the rest of the ring is for what the guest sends to itself. */
const INPUT_LIMIT = UART_INPUT_SIZE - 16;
const S = UartState;

/**
 * Moves bytes between a UART's state and two streams. A terminal or pipe that stands still holds up nobody: what the log has
 * overwritten meanwhile is dropped.
 */
export class Uart16550Back implements Back {
  readonly #descriptor: DeviceDescriptor;
  readonly #context: BackContext;
  readonly #irq: IrqLine;
  readonly #uart: UartBlock;
  readonly #notify: EventFd;
  readonly #chunk = new Uint8Array(CHUNK);
  readonly #host: CharacterBackend;
  #active = false;

  /**
   * @param descriptor of kind `uart16550` with the event `notify`; its `listener` is a socket whose clients take the place of
   * `input` and `output`
   * @param context of the I/O worker
   */
  constructor(descriptor: DeviceDescriptor, context: BackContext) {
    this.#descriptor = descriptor;
    this.#context = context;
    this.#irq = context.irqLine(descriptor);
    const logSize = Number(descriptor.options["logSize"]);
    this.#uart = new UartBlock(context.state, descriptor.state, logSize);
    this.#notify = EventFd.borrow(descriptor.fds["notify"] ?? -1);
    this.#host = new CharacterBackend(context.loop, {
      readable: () => this.#moveInput(),
      writable: () => this.#moveOutput(),
      connected: () => this.#move(),
      warn: (message) => context.warn(descriptor, message),
    });
    this.#host.input.open(descriptor.fds["input"]);
    this.#host.output.open(descriptor.fds["output"]);
  }

  activate(): void {
    this.#context.loop.add(this.#notify.number, EPOLLIN, () => {
      this.#notify.read();
      this.#move();
    });
    this.#host.listen(this.#descriptor.fds["listener"]);
    this.resume();
  }

  drain(): void {
    this.#active = false;
    this.#host.output.wait(false);
    this.#host.input.wait(false);
  }

  resume(): void {
    this.#active = true;
    this.#host.input.wait(true);
    this.#move();
  }

  /** The log stays: it tells of what was before the reset. */
  reset(): void {
    this.drain();
    this.#context.loop.remove(this.#notify.number);
    this.#uart.lock.acquire();
    for (let at = S.ier; at < S.input; at++) this.#uart.set(at, 0);
    this.#uart.setWord(S.taken, this.#uart.word(S.put));
    this.#uart.lock.release();
  }

  save(_version: number): Uint8Array {
    return new Uint8Array();
  }

  restore(_version: number, _bytes: Uint8Array): void {}

  /** What waits for a reader; a pseudo-terminal may never get one. */
  pending(): boolean {
    if (!this.#host.output.isOpen || this.#host.output.mode === "polled") return false;
    return this.#uart.word(S.written) !== this.#uart.word(S.drained);
  }

  /** Writes out what it can without waiting, so that a machine's last words are seen. */
  close(): void {
    this.#moveOutput(this.#uart.log.length);
    this.#active = false;
    this.#context.loop.remove(this.#notify.number);
    this.#host.close();
  }

  /** The front has something to write out, or there is room again for input. */
  #move(): void {
    if (!this.#active) return;
    if (!this.#host.output.waits) this.#moveOutput();
    this.#host.input.wait(true);
  }

  #moveOutput(most = BATCH): void {
    for (let calls = 0; calls < most && this.#host.output.isOpen; calls++) {
      const count = this.#nextChunk();
      if (count === 0) return this.#host.output.wait(false);
      const result = this.#host.output.write(this.#chunk, count);
      if (result === -EAGAIN) break;
      if (result >= 0) this.#advance(result);
      else if (result !== -EINTR) this.#loseOutput(result);
    }
    this.#host.output.wait(true);
  }

  /** Copies what is to be written next, and says that the back sleeps where there is nothing. */
  #nextChunk(): number {
    this.#uart.lock.acquire();
    const { log } = this.#uart;
    const written = this.#uart.word(S.written);
    let drained = this.#uart.word(S.drained);
    if ((written - drained) >>> 0 > log.length) {
      drained = written - log.length;
      this.#uart.setWord(S.drained, drained);
    }
    const at = drained & (log.length - 1);
    const count = Math.min((written - drained) >>> 0, CHUNK, log.length - at);
    this.#chunk.set(log.subarray(at, at + count));
    this.#uart.setWord(S.output_waiting, count === 0 ? 1 : 0);
    this.#uart.lock.release();
    return count;
  }

  #advance(count: number): void {
    this.#uart.lock.acquire();
    this.#uart.setWord(S.drained, this.#uart.word(S.drained) + count);
    this.#uart.lock.release();
  }

  /** What the log keeps until there is another client is for that one. */
  #loseOutput(result: number): void {
    if (this.#host.loseOutput()) return;
    const reason = errnoText(-result);
    this.#context.warn(this.#descriptor, `Cannot write serial output any more: ${reason}`);
  }

  #moveInput(): void {
    if (!this.#host.input.isOpen) return;
    const room = this.#inputRoom();
    if (room === 0) return this.#host.input.wait(false);
    const result = this.#host.input.read(this.#chunk.subarray(0, room));
    if (result > 0) this.#feed(result);
    // At the input's end the guest sees a line on which nothing more comes.
    else if (result !== -EAGAIN && result !== -EINTR) this.#host.endInput();
  }

  /** How much the guest can take, and says that the back sleeps where that is nothing. */
  #inputRoom(): number {
    this.#uart.lock.acquire();
    const room = Math.max(0, INPUT_LIMIT - this.#uart.inputCount());
    this.#uart.setWord(S.input_waiting, room === 0 ? 1 : 0);
    this.#uart.lock.release();
    return room;
  }

  #feed(count: number): void {
    this.#uart.lock.acquire();
    for (let i = 0; i < count; i++) this.#uart.pushInput(this.#chunk[i] ?? 0);
    const pulse = (this.#uart.get(S.ier) & UART_IER_RDI) !== 0;
    this.#uart.lock.release();
    if (pulse) this.#irq.trigger();
  }
}
