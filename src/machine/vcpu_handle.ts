/**
 * A vCPU as its owner holds it: the descriptor, the worker that runs it, and the words by which the two talk.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { VcpuConfig } from "../config/machine_config.ts";
import type { PlainThread } from "../host/plain_thread.ts";
import { kickThread, threadSleeps } from "../host/thread.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { type VcpuControl, VcpuState, Wanted } from "../vcpu/control.ts";
import { endHeadStart } from "../vcpu/head_start.ts";
import type { VcpuMessage, VcpuStart } from "../vcpu/messages.ts";
import type { MachineEvents } from "./events.ts";
import { notReady } from "./machine_modules.ts";

/** What a vCPU's handle is made from. */
export interface VcpuHandleParts {
  /** Created and mapped. */
  readonly vcpu: Vcpu;
  /** Its words in shared state. */
  readonly control: VcpuControl;
  /** Whom to tell what its worker says. */
  readonly events: MachineEvents;
  /** Where its worker finds the machine's devices. */
  readonly machine: Omit<VcpuStart, "vcpu" | "control" | "pin" | "headStart">;
  /** What this vCPU has of its own. */
  readonly own?: VcpuConfig | undefined;
  /** Its worker, from {@linkcode startIsolate}, where that has been started before. */
  readonly worker?: Worker | undefined;
  /** Where given it runs before its worker is up, unless that has been started before; told when it begins. */
  readonly headStart?: (() => void) | undefined;
}

/**
 * Starts a worker's isolate, which takes some 10 ms during which this isolate is blocked. It goes on to load what it needs while
 * this one does other things, and does nothing until it is told its vCPU.
 */
export function startIsolate(): Worker {
  return new Worker(new URL("../vcpu/vcpu_worker.ts", import.meta.url), { type: "module" });
}

/** A vCPU with its worker. */
export class VcpuHandle implements Disposable {
  /** The vCPU's ioctls: for before the first run and while it is paused. */
  readonly vcpu: Vcpu;
  /** Its control words. */
  readonly control: VcpuControl;
  readonly #parts: VcpuHandleParts;
  #worker: Worker | undefined;
  #headStart: PlainThread | undefined;
  /** Its worker did not stop: for all we know its thread still uses the guest's memory. */
  #stuck: VireoError | undefined;

  /** @param parts what it is made from; its isolate starts with {@linkcode VcpuHandle.spawn} */
  constructor(parts: VcpuHandleParts) {
    this.vcpu = parts.vcpu;
    this.control = parts.control;
    this.#parts = parts;
  }

  /** KVM's id of the vCPU, which is its APIC id: a topology may leave gaps between them. */
  get id(): number {
    return this.vcpu.id;
  }

  /**
   * Tells a worker that it is this vCPU's. It gets ready while this isolate goes on, then waits for {@linkcode VcpuHandle.start}, and
   * touches neither vCPU nor guest before.
   */
  spawn(): void {
    const worker = this.#parts.worker ?? startIsolate();
    worker.onmessage = (event: MessageEvent<VcpuMessage>) => this.#parts.events.heard(event.data);
    worker.onmessageerror = () => this.#failed("it posted what cannot be read");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#failed(event.message);
    };
    this.control.hold();
    const vcpu = this.vcpu.describe();
    const { machine, own } = this.#parts;
    const control = this.control.offset;
    const pin = own?.pin ?? [];
    const start: VcpuStart = { ...machine, vcpu, control, pin, headStart: this.#headStart?.id };
    worker.postMessage(start);
    this.#worker = worker;
  }

  /**
   * Waits until its worker has made the devices' fronts.
   *
   * @returns whether they are made; why not is said, or about to be
   * @throws VireoError of kind `device` where that takes longer
   */
  async prepare(timeout: number): Promise<boolean> {
    if (this.#worker === undefined) this.spawn();
    const done = (state: VcpuState) => state !== VcpuState.starting;
    if (await this.control.until(done, timeout)) return this.alive;
    throw notReady(`The worker of vCPU ${this.id}`, timeout, this.#parts.machine.modules);
  }

  /** Lets the worker run the vCPU, or the vCPU begin without it. */
  start(): void {
    if (this.#worker === undefined) this.#startBoth();
    this.control.lift();
  }

  #startBoth(): void {
    const { headStart } = this.#parts;
    if (headStart !== undefined) this.#begin(headStart);
    try {
      this.spawn();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #begin(told: () => void): void {
    try {
      this.#headStart = this.vcpu.runApart();
    } catch {
      // A C library older than 2.34 has not all that it takes: the guest begins with the worker then.
      return;
    }
    this.control.announceHeadStart();
    told();
  }

  /** Whether a worker runs the vCPU, or is about to. */
  get alive(): boolean {
    return this.#worker !== undefined && this.control.state !== VcpuState.stopped;
  }

  /** Whether its thread waits: for the guest's HLT to end, if it is in the guest. */
  get sleeps(): boolean {
    return threadSleeps(this.control.tid);
  }

  /** Asks for a state and forces the vCPU out of KVM_RUN, so that it looks. Never lost: see {@linkcode Vcpu.run}. */
  request(wanted: Wanted): void {
    this.control.request(wanted);
    this.kick();
  }

  /** Forces the vCPU out of KVM_RUN. */
  kick(): void {
    this.vcpu.exit.immediateExit = true;
    const tid = this.control.tid;
    if (tid !== 0 && this.alive) kickThread(tid);
  }

  /** Waits until the worker has stopped; throws where it does not within `timeout` ms, and at every later call. */
  async join(timeout: number): Promise<void> {
    if (this.#stuck !== undefined) throw this.#stuck;
    if (this.#worker === undefined) return;
    const stopped = await this.control.until((state) => state === VcpuState.stopped, timeout);
    this[Symbol.dispose]();
    if (stopped) return;
    throw this.#stuck = new VireoError(
      "internal",
      `Cannot stop vCPU ${this.id}: its worker did not answer within ${timeout} ms`,
    );
  }

  /** Ends the worker: one that was never started goes by itself, any other where it is, as the last resort. */
  [Symbol.dispose](): void {
    this.control.request(Wanted.stop);
    this.#worker?.terminate();
    this.#worker = undefined;
    if (this.#headStart === undefined) return;
    const ended = endHeadStart(this.vcpu, this.control, this.#headStart.id) !== undefined;
    if (ended || this.control.state === VcpuState.stopped) this.#headStart[Symbol.dispose]();
    this.#headStart = undefined;
  }

  #failed(message: string): void {
    this.control.enter(VcpuState.stopped);
    this.#parts.events.heard({
      type: "ended",
      vcpu: this.id,
      cause: "vcpu-error",
      detail: 0,
      text: message,
    });
  }
}
