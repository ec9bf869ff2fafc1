/**
 * What the workers of a machine say, brought together for its owner.
 *
 * @module
 */

import type { PlainValue } from "../bus/device_descriptor.ts";
import type { VcpuEnded, VcpuMessage } from "../vcpu/messages.ts";

/** A message that a device posts to the machine's owner: a line on a control port, a key. */
export type DeviceMessage = { readonly [name: string]: PlainValue };

/** Whom a machine tells what happens in it. */
export interface MachineOwner {
  /** A device's own message. */
  message?(device: string, message: DeviceMessage): void;
  /** Something went wrong that the machine survives: a guest's fault, a host file that fails. */
  warning?(device: string, text: string): void;
}

/** The ear of a machine: every worker's handle talks to it. */
export class MachineEvents {
  readonly #owner: MachineOwner;
  readonly #ended = Promise.withResolvers<VcpuEnded>();

  /** @param owner whom to pass things on to */
  constructor(owner: MachineOwner) {
    this.#owner = owner;
  }

  /** The first worker's word that ended the machine. */
  get ended(): Promise<VcpuEnded> {
    return this.#ended.promise;
  }

  /** A vCPU's worker posted something. */
  heard(message: VcpuMessage): void {
    if (message.type === "ended") this.#ended.resolve(message);
    else this.warn(message.device, message.message);
  }

  /** A device's back posted something. */
  post(device: string, message: DeviceMessage): void {
    this.#owner.message?.(device, message);
  }

  /** A device or a worker complains. */
  warn(device: string, text: string): void {
    this.#owner.warning?.(device, text);
  }

  /** A worker other than a vCPU's failed: our own fault, which ends the machine. */
  failed(text: string): void {
    this.#ended.resolve({ type: "ended", vcpu: -1, cause: "vcpu-error", detail: 0, text });
  }
}
