/**
 * What the workers of a machine say, brought together for its owner.
 *
 * @module
 */

import type { LogEntry } from "../base/log.ts";
import type { PlainValue } from "../bus/device_descriptor.ts";
import type { WorkerFailure } from "../devices/device_modules.ts";
import type { VcpuEnded, VcpuMessage, VcpuYielded } from "../vcpu/messages.ts";

/** A message that a device posts to the machine's owner: a line on a control port, a key. */
export type DeviceMessage = { readonly [name: string]: PlainValue };

/** Whom a machine tells what happens in it. */
export interface MachineOwner {
  /** A device's own message. */
  message?(device: string, message: DeviceMessage): void;
  /** Something went wrong that the machine survives: a guest's fault, a host file that fails. */
  warning?(device: string, text: string): void;
  /** Something happened. */
  note?(entry: LogEntry): void;
}

/** What gives the turn to who runs the machine. */
export type MachineEvent = VcpuEnded | VcpuYielded;

/** The ear of a machine: every worker's handle talks to it. */
export class MachineEvents {
  readonly #owner: MachineOwner;
  readonly #yields: VcpuYielded[] = [];
  #end: VcpuEnded | undefined;
  #news = Promise.withResolvers<void>();

  /** @param owner whom to pass things on to */
  constructor(owner: MachineOwner) {
    this.#owner = owner;
  }

  /** Waits until there is something to {@linkcode MachineEvents.take}. */
  async some(): Promise<void> {
    while (this.#yields.length === 0 && this.#end === undefined) await this.#news.promise;
  }

  /** What has happened first of what nobody has taken. The end stays: nothing comes behind it. */
  take(): MachineEvent | undefined {
    return this.#yields.shift() ?? this.#end;
  }

  /** A vCPU's worker posted something. */
  heard(message: VcpuMessage): void {
    if (message.type === "warning") return this.warn(message.device, message.message);
    if (message.type === "ended") this.#end ??= message;
    else this.#yields.push(message);
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** A device's back posted something. */
  post(device: string, message: DeviceMessage): void {
    this.#owner.message?.(device, message);
  }

  /** The machine itself did something. */
  note(level: LogEntry["level"], message: string, data: LogEntry["data"] = {}): void {
    this.#owner.note?.({ level, source: "machine", message, data });
  }

  /** A device or a worker complains. */
  warn(device: string, text: string): void {
    this.#owner.warning?.(device, text);
  }

  /** A worker other than a vCPU's failed, which ends the machine. */
  failed(text: string, cause: WorkerFailure["cause"] = "vcpu-error"): void {
    this.heard({ type: "ended", vcpu: -1, cause, detail: 0, text });
  }

  /** No vCPU will ever run an instruction again. */
  halted(): void {
    this.heard({ type: "ended", vcpu: 0, cause: "halted", detail: 0, text: "" });
  }
}
