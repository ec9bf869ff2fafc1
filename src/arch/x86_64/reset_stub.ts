/**
 * What a PC's firmware has at the address where a processor starts after a reset: a jump into the BIOS. Here it resets the
 * machine, for kernels that reboot by jumping there. Linux does: on hardware-reduced ACPI it takes EFI for its way to reboot, and
 * without EFI the next on its list is the BIOS.
 *
 * @module
 */

import { ACPI_RESET_VALUE } from "../../abi/acpi.ts";
import { ACPI_RESET_PORT, RESET_VECTOR_ADDRESS } from "./layout.ts";
import type { Placement } from "./placement.ts";

/** Real-mode code at {@linkcode RESET_VECTOR_ADDRESS} that writes the ACPI reset register. */
export function resetStub(): Placement {
  const low = ACPI_RESET_PORT % 256;
  const high = Math.trunc(ACPI_RESET_PORT / 256);
  const bytes = Uint8Array.of(
    ...[0xba, low, high], // mov dx, port
    ...[0xb0, ACPI_RESET_VALUE], // mov al, value
    0xee, // out dx, al
    0xf4, // hlt
    ...[0xeb, 0xfd], // jmp to the hlt
  );
  return { address: RESET_VECTOR_ADDRESS, bytes };
}
