/**
 * A 16550A UART: COM1 of a PC. What the guest sends goes into a ring in shared state that is its kernel log at the same time
 * ({@linkcode serialLog} reads it); the back, where there is one, writes it out and feeds input.
 *
 * Timing is not that of a wire: the transmitter is always empty, and input arrives as fast as the guest takes it.
 *
 * @module
 */

import {
  UART_FCR,
  UART_FCR_CLEAR_RCVR,
  UART_FCR_ENABLE_FIFO,
  UART_FCR_TRIGGER_MASK,
  UART_IER,
  UART_IER_MSI,
  UART_IER_RDI,
  UART_IER_RLSI,
  UART_IER_THRI,
  UART_IIR,
  UART_IIR_FIFO_ENABLED,
  UART_IIR_NO_INT,
  UART_IIR_THRI,
  UART_LCR,
  UART_LCR_DLAB,
  UART_LSR,
  UART_LSR_DR,
  UART_LSR_OE,
  UART_LSR_TEMT,
  UART_LSR_THRE,
  UART_MCR,
  UART_MCR_DTR,
  UART_MCR_LOOP,
  UART_MCR_OUT1,
  UART_MCR_OUT2,
  UART_MCR_RTS,
  UART_MSR,
  UART_MSR_CTS,
  UART_MSR_DCD,
  UART_MSR_DSR,
  UART_MSR_RI,
  UART_MSR_TERI,
  UART_RX,
  UART_SCR,
  UART_TX,
} from "../abi/devices.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import { MARK } from "./boot_marks.ts";
import { ByteDevice, OPEN_BUS } from "./byte_device.ts";
import type { FrontContext } from "./front.ts";
import { UART_INPUT_SIZE, UartBlock, UartState } from "./uart16550_state.ts";

const FIFO_SIZE = 16;
/** Input bytes that must be free before the back is woken to read more. */
const INPUT_ROOM = UART_INPUT_SIZE / 2;
const INTERRUPTS = UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI;
const MSR_LEVELS = UART_MSR_CTS | UART_MSR_DSR | UART_MSR_RI | UART_MSR_DCD;
const S = UartState;

/** The registers of a UART. */
export class Uart16550 extends ByteDevice {
  readonly #descriptor: DeviceDescriptor;
  readonly #context: FrontContext;
  readonly #irq: IrqLine;
  readonly #uart: UartBlock;
  readonly #hasOutput: boolean;
  #hasSent = false;
  /**
   * Whether the access at hand changed what interrupts depend on. The chip holds its line up while there is a cause, but the
   * line is edge-triggered: so each change after which there is a cause makes a pulse, and no cause is left unseen.
   */
  #changed = false;

  /**
   * @param descriptor of kind `uart16550`
   * @param context of the isolate that it answers in
   */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    super();
    this.#descriptor = descriptor;
    this.#context = context;
    this.#irq = context.irqLine(descriptor);
    const logSize = Number(descriptor.options["logSize"]);
    this.#uart = new UartBlock(context.state, descriptor.state, logSize);
    const { output, listener } = descriptor.fds;
    this.#hasOutput = output !== undefined || listener !== undefined;
  }

  override readByte(offset: number): number {
    if (offset === UART_LSR && this.#uart.get(S.overrun) === 0) return this.#lineStatus();
    // The guest's own byte: nothing else depends on it, so it takes no lock.
    if (offset === UART_SCR) return this.#uart.get(S.scr);
    this.#uart.lock.acquire();
    const value = this.#readRegister(offset);
    const pulse = this.#changed && this.#uart.interruptCause() !== UART_IIR_NO_INT;
    this.#changed = false;
    const wakeBack = this.#wantsInput();
    this.#uart.lock.release();
    if (pulse) this.#irq.trigger();
    if (wakeBack) this.#context.signal(this.#descriptor, "notify");
    return value;
  }

  override writeByte(offset: number, value: number): void {
    if (offset === UART_SCR) return this.#uart.set(S.scr, value);
    this.#uart.lock.acquire();
    if (offset === UART_TX && (this.#uart.get(S.lcr) & UART_LCR_DLAB) === 0) this.#transmit(value);
    else this.#writeRegister(offset, value);
    const pulse = this.#changed && this.#uart.interruptCause() !== UART_IIR_NO_INT;
    this.#changed = false;
    const wakeBack = this.#wantsOutput();
    this.#uart.lock.release();
    if (pulse) this.#irq.trigger();
    if (wakeBack) this.#context.signal(this.#descriptor, "notify");
  }

  #readRegister(offset: number): number {
    switch (offset) {
      case UART_RX:
        return this.#divisorShown() ? this.#uart.get(S.dll) : this.#receive();
      case UART_IER:
        return this.#uart.get(this.#divisorShown() ? S.dlm : S.ier);
      case UART_IIR:
        return this.#identify();
      case UART_LCR:
        return this.#uart.get(S.lcr);
      case UART_MCR:
        return this.#uart.get(S.mcr);
      case UART_LSR:
        return this.#takeLineStatus();
      case UART_MSR:
        return this.#takeModemStatus();
      default:
        return OPEN_BUS;
    }
  }

  #writeRegister(offset: number, value: number): void {
    switch (offset) {
      case UART_TX: // With DLAB set, or else it was transmitted.
        return this.#uart.set(S.dll, value);
      case UART_IER:
        return this.#divisorShown()
          ? this.#uart.set(S.dlm, value)
          : this.#enable(value & INTERRUPTS);
      case UART_FCR:
        return this.#controlFifo(value);
      case UART_LCR:
        return this.#uart.set(S.lcr, value);
      case UART_MCR:
        return this.#controlModem(value & 0x1f);
    }
  }

  /** The byte that the guest sends; the transmitter is empty again at once. */
  #transmit(value: number): void {
    if ((this.#uart.get(S.mcr) & UART_MCR_LOOP) !== 0) this.#loopBack(value);
    else this.#send(value);
    // Still pending means that the guest has not looked since the last pulse.
    if (this.#uart.get(S.thre_pending) !== 0) return;
    this.#uart.set(S.thre_pending, 1);
    this.#changed = true;
  }

  #send(value: number): void {
    if (!this.#hasSent) this.#context.mark(MARK.serial);
    this.#hasSent = true;
    this.#uart.appendLog(value);
  }

  #loopBack(value: number): void {
    const depth = this.#fifoOn() ? FIFO_SIZE : 1;
    if (this.#uart.inputCount() >= depth) this.#uart.set(S.overrun, UART_LSR_OE);
    else this.#uart.pushInput(value);
    this.#changed = true;
  }

  #receive(): number {
    if (this.#uart.inputCount() === 0) return 0;
    const value = this.#uart.takeInput();
    this.#changed = true;
    return value;
  }

  #enable(value: number): void {
    const old = this.#uart.get(S.ier);
    if (old === value) return;
    this.#uart.set(S.ier, value);
    // Enabling it with the transmitter empty raises it: drivers start sending that way.
    if ((value & ~old & UART_IER_THRI) !== 0) this.#uart.set(S.thre_pending, 1);
    this.#changed = true;
  }

  #controlFifo(value: number): void {
    const old = this.#uart.get(S.fcr);
    const now = (value & UART_FCR_ENABLE_FIFO) === 0
      ? 0
      : value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
    const toggled = ((old ^ now) & UART_FCR_ENABLE_FIFO) !== 0;
    if (toggled || (now !== 0 && (value & UART_FCR_CLEAR_RCVR) !== 0)) this.#clearFifo();
    if (now === old) return;
    this.#uart.set(S.fcr, now);
    this.#changed = true;
  }

  /** Drops what a chip would hold; input beyond that is still on the wire. */
  #clearFifo(): void {
    const count = Math.min(this.#uart.inputCount(), FIFO_SIZE);
    this.#uart.setWord(S.taken, this.#uart.word(S.taken) + count);
  }

  #controlModem(value: number): void {
    const before = this.#modemLevels();
    this.#uart.set(S.mcr, value);
    const after = this.#modemLevels();
    let delta = ((before ^ after) & MSR_LEVELS) / 16;
    // The ring indicator counts at its end only.
    if ((after & UART_MSR_RI) !== 0) delta &= ~UART_MSR_TERI;
    if (delta === 0) return;
    this.#uart.set(S.msr_delta, this.#uart.get(S.msr_delta) | delta);
    this.#changed = true;
  }

  #modemLevels(): number {
    const mcr = this.#uart.get(S.mcr);
    if ((mcr & UART_MCR_LOOP) === 0) return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
    return ((mcr & UART_MCR_RTS) !== 0 ? UART_MSR_CTS : 0) |
      ((mcr & UART_MCR_DTR) !== 0 ? UART_MSR_DSR : 0) |
      ((mcr & UART_MCR_OUT1) !== 0 ? UART_MSR_RI : 0) |
      ((mcr & UART_MCR_OUT2) !== 0 ? UART_MSR_DCD : 0);
  }

  #takeModemStatus(): number {
    const delta = this.#uart.get(S.msr_delta);
    if (delta !== 0) {
      this.#uart.set(S.msr_delta, 0);
      this.#changed = true;
    }
    return this.#modemLevels() | delta;
  }

  #lineStatus(): number {
    const data = this.#uart.inputCount() === 0 ? 0 : UART_LSR_DR;
    return UART_LSR_THRE | UART_LSR_TEMT | data;
  }

  #takeLineStatus(): number {
    const overrun = this.#uart.get(S.overrun);
    this.#uart.set(S.overrun, 0);
    this.#changed = overrun !== 0;
    return this.#lineStatus() | overrun;
  }

  #identify(): number {
    const cause = this.#uart.interruptCause();
    if (cause === UART_IIR_THRI) {
      this.#uart.set(S.thre_pending, 0);
      this.#changed = true;
    }
    return cause | (this.#fifoOn() ? UART_IIR_FIFO_ENABLED : 0);
  }

  #wantsInput(): boolean {
    if (this.#uart.word(S.input_waiting) === 0) return false;
    if (UART_INPUT_SIZE - this.#uart.inputCount() < INPUT_ROOM) return false;
    this.#uart.setWord(S.input_waiting, 0);
    return true;
  }

  #wantsOutput(): boolean {
    if (!this.#hasOutput || this.#uart.word(S.output_waiting) === 0) return false;
    if (this.#uart.word(S.written) === this.#uart.word(S.drained)) return false;
    this.#uart.setWord(S.output_waiting, 0);
    return true;
  }

  #divisorShown(): boolean {
    return (this.#uart.get(S.lcr) & UART_LCR_DLAB) !== 0;
  }

  #fifoOn(): boolean {
    return this.#uart.get(S.fcr) !== 0;
  }
}
