/**
 * What the owner of a machine does to its devices by hand: reads the serial port's log, presses the power button, resizes the
 * terminal. A machine without the device takes it in silence.
 *
 * @module
 */

import { VIRTIO_MMIO_INT_CONFIG } from "../abi/virtio.ts";
import { VirtioConsoleConfig } from "../abi/virtio_devices.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { EdgeIrq, type IrqLine, NO_IRQ } from "../bus/irq_line.ts";
import { pressPowerButton } from "../devices/acpi_pm.ts";
import { serialLog } from "../devices/serial_log.ts";
import { EventFd } from "../host/fd.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { consoleSizeBytes } from "../virtio/console.ts";
import { PHASE, VirtioState } from "../virtio/virtio_state.ts";
import { ACPI_ID, CONSOLE_ID, SERIAL_ID } from "./device_plans.ts";

/** A machine's devices and their state. */
export interface Panel {
  readonly state: SharedState;
  readonly devices: readonly DeviceDescriptor[];
}

/** What the guest has sent to COM1, as much of it as is kept. */
export function serialLogOf({ state, devices }: Panel): Uint8Array {
  const serial = devices.find(({ id }) => id === SERIAL_ID);
  return serial === undefined ? new Uint8Array() : serialLog(state, serial);
}

/** Tells the guest the terminal's new size, in characters. */
export function resizeConsoleOf({ state, devices }: Panel, columns: number, rows: number): void {
  const console = devices.find(({ id }) => id === CONSOLE_ID);
  if (console === undefined) return;
  const virtio = VirtioState.attach(state, console.state);
  virtio.changeConfig(VirtioConsoleConfig.cols, consoleSizeBytes({ columns, rows }));
  // A driver that comes later reads what is there (virtio 1.3 §3.1.1).
  if (virtio.phase !== PHASE.ACTIVE) return;
  virtio.addInterrupt(VIRTIO_MMIO_INT_CONFIG);
  irqOf(console).trigger();
}

/** Presses the power button. */
export function pressPowerButtonOf({ state, devices }: Panel): void {
  const acpi = devices.find(({ id }) => id === ACPI_ID);
  if (acpi !== undefined) pressPowerButton(state, acpi, irqOf(acpi));
}

function irqOf({ irqFd }: DeviceDescriptor): IrqLine {
  return irqFd < 0 ? NO_IRQ : new EdgeIrq(EventFd.borrow(irqFd));
}
