/**
 * ACPI's fixed hardware of the reduced kind: sleep control and status, the reset register, and the selector of the Generic Event
 * Device, by which the power button reaches the guest (ACPI 6.5 §4.8.3.6, §4.8.3.7, §5.6.9).
 *
 * @module
 */

import { ACPI_GED_POWER_BUTTON, ACPI_RESET_VALUE, ACPI_S5_SLEEP_TYPE } from "../abi/acpi.ts";
import { ACPI_SLP_EN, ACPI_SLP_TYP_MASK, ACPI_SLP_TYP_SHIFT } from "../abi/devices.ts";
import { struct } from "../base/struct.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { IrqLine } from "../bus/irq_line.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { ByteDevice, OPEN_BUS } from "./byte_device.ts";
import type { DevicePlan } from "./device_plan.ts";
import type { FrontContext } from "./front.ts";

/** Registers from the first port on; the FADT and the DSDT say the same. */
const Registers = struct({ sleep_control: "u8", sleep_status: "u8", reset: "u8", event: "u32" });

/** Events that the guest has not taken, and the sleep type it wrote last. */
const State = struct({ events: "u32", sleep_type: "u32" });
const STATE_SIZE = 8;

/** ACPI power management for the machine's builder. `port`: the first of eight. */
export function acpiPm(
  options: { readonly id: string; readonly port: number; readonly gsi: number },
): DevicePlan {
  const { id, port, gsi } = options;
  return {
    kind: "acpi-pm",
    id,
    windows: [{ bus: "port", base: port, size: 8 }],
    gsi,
    createState: (state) => state.allocate(STATE_SIZE, id),
  };
}

/**
 * Presses the power button: the guest gets an event, and decides what comes of it. Called by the machine's owner.
 *
 * @param state the machine's shared state
 * @param descriptor of kind `acpi-pm`
 * @param irq its interrupt line
 */
export function pressPowerButton(
  state: SharedState,
  descriptor: DeviceDescriptor,
  irq: IrqLine,
): void {
  Atomics.or(state.words, (descriptor.state + State.events) / 4, ACPI_GED_POWER_BUTTON);
  irq.trigger();
}

/** The registers. */
export class AcpiPm extends ByteDevice {
  readonly #context: FrontContext;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #events: number;
  readonly #sleepType: number;

  /**
   * @param descriptor of kind `acpi-pm`
   * @param context of the isolate that it answers in
   */
  constructor(descriptor: DeviceDescriptor, context: FrontContext) {
    super();
    this.#context = context;
    this.#words = context.state.words;
    this.#events = (descriptor.state + State.events) / 4;
    this.#sleepType = (descriptor.state + State.sleep_type) / 4;
  }

  override readByte(offset: number): number {
    switch (offset) {
      case Registers.sleep_control:
        return Atomics.load(this.#words, this.#sleepType) << ACPI_SLP_TYP_SHIFT;
      case Registers.sleep_status: // No sleep state to wake from is there.
      case Registers.reset:
        return 0;
      case Registers.event:
      case Registers.event + 1:
      case Registers.event + 2:
      case Registers.event + 3:
        return this.#takeEvents(8 * (offset - Registers.event));
      default:
        return OPEN_BUS;
    }
  }

  override writeByte(offset: number, value: number): void {
    switch (offset) {
      case Registers.sleep_control:
        return this.#sleep(value);
      case Registers.reset:
        if (value === ACPI_RESET_VALUE) this.#context.end("reset");
    }
  }

  /** Reading takes the events of a byte; the guest's handler then notifies its devices of all of them. */
  #takeEvents(shift: number): number {
    return (Atomics.and(this.#words, this.#events, ~(0xff << shift)) >>> shift) & 0xff;
  }

  /** Only S5 is announced by `\_S5`; every other type is ignored. */
  #sleep(value: number): void {
    const type = (value >>> ACPI_SLP_TYP_SHIFT) & ACPI_SLP_TYP_MASK;
    Atomics.store(this.#words, this.#sleepType, type);
    if ((value & ACPI_SLP_EN) !== 0 && type === ACPI_S5_SLEEP_TYPE) this.#context.end("power-off");
  }
}
