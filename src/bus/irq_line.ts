/**
 * Interrupt lines: how a device raises one, whatever carries it.
 *
 * @module
 */

/** An interrupt line of one device. */
export interface IrqLine {
  /** Raises the interrupt. May be called from any isolate that holds the line; never blocks. */
  trigger(): void;
}

/** What signals an interrupt: an eventfd bound to a GSI by KVM_IRQFD. */
export interface InterruptEvent {
  /** Adds one to the event's counter. */
  signal(): void;
}

/** An edge-triggered line: KVM turns each signal of the irqfd into one pulse of the GSI. */
export class EdgeIrq implements IrqLine {
  readonly #event: InterruptEvent;

  /** @param event the irqfd's event */
  constructor(event: InterruptEvent) {
    this.#event = event;
  }

  /** Pulses the line. */
  trigger(): void {
    this.#event.signal();
  }
}

/** The line of a device that has none. */
export const NO_IRQ: IrqLine = { trigger() {} };
