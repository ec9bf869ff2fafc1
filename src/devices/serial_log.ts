/**
 * What a guest has sent to its UART, read from the ring in shared state while the guest goes on: the kernel's log.
 *
 * @module
 */

import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { UartBlock, UartState } from "./uart16550_state.ts";

/**
 * The newest bytes, oldest first, as many as are kept. It takes no lock, so that it never holds up a vCPU: what is overwritten while
 * it is copied is left out.
 *
 * @param state the machine's shared state
 * @param descriptor of the UART
 */
export function serialLog(
  state: SharedState,
  descriptor: DeviceDescriptor,
): Uint8Array<ArrayBuffer> {
  const uart = new UartBlock(state, descriptor.state, Number(descriptor.options["logSize"]));
  const { log } = uart;
  const end = uart.word(UartState.written);
  // The count begins anew after 4 GiB: right after that there is less than there could be.
  const kept = Math.min(end, log.length);
  const start = (end - kept) % log.length;
  const first = Math.min(kept, log.length - start);
  const bytes = new Uint8Array(kept);
  bytes.set(log.subarray(start, start + first));
  bytes.set(log.subarray(0, kept - first), first);
  const since = (uart.word(UartState.written) - end) >>> 0;
  return bytes.subarray(Math.min(kept, Math.max(0, kept + since - log.length)));
}
