/**
 * Sees to it that a guest's coalesced writes do not wait for an exit that never comes: a guest may write its last byte and halt.
 *
 * @module
 */

import { Delay } from "../base/delay.ts";
import { VcpuState } from "../vcpu/control.ts";

/** What this needs of a vCPU. */
export interface CoalescingVcpu {
  readonly vcpu: { readonly coalesced: { readonly pending: boolean } | undefined };
  readonly control: { readonly state: VcpuState };
  kick(): void;
}

/** How long a write may wait, in ms. */
const INTERVAL = 100;

/** Looks at the ring from time to time, and makes a vCPU empty it. */
export class CoalescedWatch implements Disposable {
  readonly #vcpus: readonly CoalescingVcpu[];
  #delay: Delay | undefined;

  /** @param vcpus all of a machine; they share one ring */
  constructor(vcpus: readonly CoalescingVcpu[]) {
    this.#vcpus = vcpus;
    if (vcpus[0]?.vcpu.coalesced !== undefined) this.#lookLater();
  }

  #lookLater(): void {
    this.#delay = new Delay(INTERVAL, () => {
      if (this.#vcpus[0]?.vcpu.coalesced?.pending) this.#kick();
      this.#lookLater();
    });
  }

  #kick(): void {
    this.#vcpus.find(({ control }) => control.state === VcpuState.running)?.kick();
  }

  /** Looks no more. */
  [Symbol.dispose](): void {
    this.#delay?.[Symbol.dispose]();
  }
}
