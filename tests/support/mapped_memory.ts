/**
 * Guest memory in real mappings, for tests whose device lets the kernel read and write it.
 *
 * @module
 */

import { Mapping, viewAt } from "../../src/host/mapping.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { TEST_REGION_SIZE, TEST_REGIONS } from "./driver.ts";

/** Mappings where {@linkcode testMemory} has plain buffers. */
export class MappedMemory implements Disposable {
  readonly memory: GuestMemory;
  readonly #mappings: readonly Mapping[];

  /** @param regionSize bytes of each region */
  constructor(regionSize: number = TEST_REGION_SIZE) {
    this.#mappings = TEST_REGIONS.map(() => Mapping.anonymous(regionSize));
    const regions = TEST_REGIONS.map((guestAddress, i) => {
      const hostAddress = this.#mappings[i]?.address ?? 0;
      return { guestAddress, size: regionSize, hostAddress };
    });
    this.memory = GuestMemory.map(regions, viewAt);
  }

  [Symbol.dispose](): void {
    for (const mapping of this.#mappings) mapping[Symbol.dispose]();
  }
}
