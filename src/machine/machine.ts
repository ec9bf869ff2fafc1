/**
 * A machine: what its owner holds. It is born by {@linkcode buildMachine} with everything in place and nothing running.
 *
 * @module
 */

import { errorText, VireoError } from "../base/errors.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { MachineConfig } from "../config/machine_config.ts";
import type { BootMark, BootMarks } from "../devices/boot_marks.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import { readRegisters, type RegisterValues, writeRegisters } from "../kvm/named_registers.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { SharedState } from "../memory/shared_state.ts";
import type { VcpuState } from "../vcpu/control.ts";
import { AbortWatch } from "./abort_watch.ts";
import { Crew, type CrewParts, STOP_TIMEOUT } from "./crew.ts";
import type { MachineEvents } from "./events.ts";
import { type Panel, pressPowerButtonOf, resizeConsoleOf, serialLogOf } from "./front_panel.ts";
import { CoalescedWatch } from "./coalesced_watch.ts";
import { HaltWatch } from "./halt_watch.ts";
import { Lifecycle, type MachineState } from "./lifecycle.ts";
import { type MachineModules, requireLoaded } from "./machine_modules.ts";
import { type Outcome, outcomeOf, outcomeOfSignal, outcomeOfYield } from "./outcome.ts";

/** What the builder hands over. */
export interface MachineParts extends CrewParts {
  readonly config: MachineConfig;
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly state: SharedState;
  readonly marks: BootMarks | undefined;
  /** Pseudo-terminals by what is on them. */
  readonly ptys: { readonly [what: string]: string };
  /** What its workers import of the program's. */
  readonly modules: MachineModules;
  /** Whether no vCPU enters the guest before all workers are up. */
  readonly startsTogether: boolean;
  /** Where the workers' words arrive. */
  readonly events: MachineEvents;
}

/** How a machine is run. */
export interface RunOptions {
  /** Ends the run from outside. */
  readonly signal?: AbortSignal;
  /**
   * What a fired signal makes of the run: `return` gives the outcome `interrupted`, or `timed-out` for a signal of
   * `AbortSignal.timeout()`; `throw` rejects with the signal's reason, as `fetch` does. `return` where absent.
   */
  readonly onAbort?: "return" | "throw";
}

/** A KVM virtual machine. */
export class Machine implements AsyncDisposable {
  readonly #parts: MachineParts;
  readonly #crew: Crew;
  readonly #lifecycle = new Lifecycle();
  #closing: Promise<void> | undefined;
  /** The pause or resume under way: the next one waits for it. */
  #turn: Promise<void> = Promise.resolve();
  /** The guest ended by itself, so its last words are worth a wait. */
  #hasOutcome = false;
  readonly #closed = Promise.withResolvers<never>();

  private constructor(parts: MachineParts) {
    this.#parts = parts;
    this.#crew = new Crew(parts);
    // Nobody may be running the machine when this is rejected.
    this.#closed.promise.catch(() => {});
  }

  /**
   * Puts a machine together.
   *
   * @ignore for {@linkcode buildMachine} alone
   */
  static of(parts: MachineParts): Machine {
    return new Machine(parts);
  }

  /**
   * Where there are modules of the program's, has all workers load them and make the devices, and closes the machine where one
   * cannot. Its devices hold still then until it is run.
   *
   * @ignore for {@linkcode buildMachine} alone
   */
  async prepare(): Promise<this> {
    const { modules, events } = this.#parts;
    if (modules.fronts.length + modules.backs.length === 0) return this;
    try {
      if (await this.#crew.prepare()) return this;
      await events.some();
      const event = events.take();
      if (event?.type === "ended") outcomeOf(event);
      return this;
    } catch (error) {
      // A worker that does not stop has not become ready either, which is what is told.
      await this.close().catch(() => {});
      throw error;
    }
  }

  /** What the machine was made from. */
  get config(): MachineConfig {
    return this.#parts.config;
  }

  /** What it does now. */
  get state(): MachineState {
    return this.#lifecycle.state;
  }

  /** What each vCPU's worker does now. */
  get vcpuStates(): readonly VcpuState[] {
    return this.#crew.vcpuStates;
  }

  /** Guest RAM. Throws with kind `closed` after close, when there is none. */
  get memory(): GuestMemory {
    this.#lifecycle.requireOpen();
    return this.#parts.memory;
  }

  /** The VM's ioctls: for what this class has no method for. */
  get vm(): Vm {
    this.#lifecycle.requireOpen();
    return this.#parts.vm;
  }

  /** Paths of the pseudo-terminals by what is on them: `console`, `serial`. */
  get ptys(): { readonly [what: string]: string } {
    return this.#parts.ptys;
  }

  /** Devices as plain data, in the guest's order. */
  get devices(): readonly DeviceDescriptor[] {
    return this.#parts.devices.descriptors;
  }

  /** Shared state of devices and vCPUs. */
  get sharedState(): SharedState {
    return this.#parts.state;
  }

  /**
   * Runs the machine until it ends, which it does once, or until somebody yields, after which it may be run on.
   *
   * @returns how it ended
   * @throws VireoError of kind `internal` for a fault of our own, `device` for one of a program's device, `closed` where the
   *   machine is closed meanwhile
   */
  async run({ signal, onAbort = "return" }: RunOptions = {}): Promise<Outcome> {
    if (onAbort === "throw") signal?.throwIfAborted();
    this.#requireAllVcpus();
    const isStart = this.state === "created";
    this.#lifecycle.transition("run");
    using aborted = new AbortWatch(signal);
    let outcome: Outcome | undefined;
    this.#parts.events.note("verbose", isStart ? "The machine starts" : "The machine goes on");
    try {
      const started = isStart
        ? this.#crew.start(this.#parts.startsTogether)
        : this.#inTurn(() => this.#crew.resume());
      // After the start, which nothing may hold up.
      using _coalesced = new CoalescedWatch(this.#parts.vcpus);
      using _watch = new HaltWatch(this.#parts.vcpus, () => this.#parts.events.halted());
      if (!isStart) await started;
      await Promise.race([
        this.#parts.events.some(),
        aborted.promise,
        this.#closed.promise,
        started.then(() => this.#closed.promise),
      ]);
      outcome = await this.#outcome(signal, onAbort);
      const { reason, cause, vcpu, detail, text } = outcome;
      const level = reason === "crashed" ? "error" : "info";
      this.#parts.events.note(level, text, { reason, cause, vcpu, detail });
      return outcome;
    } catch (error) {
      this.#parts.events.note("error", errorText(error));
      throw error;
    } finally {
      if (outcome?.cause !== "yield") {
        await this.#crew.stopVcpus();
        if (this.#closing === undefined) this.#lifecycle.transition("end");
      }
    }
  }

  async #outcome(signal: AbortSignal | undefined, onAbort: "return" | "throw"): Promise<Outcome> {
    const event = this.#parts.events.take();
    if (event?.type === "yielded") {
      await this.#inTurn(() => this.#standStill());
      return outcomeOfYield(event);
    }
    this.#hasOutcome = event !== undefined;
    if (event !== undefined) return outcomeOf(event);
    if (onAbort === "throw") throw signal?.reason;
    return outcomeOfSignal(signal?.reason);
  }

  /** Gives the turn to who runs the machine: the run ends with `user-yield`, and may be gone on with. */
  yield(): void {
    this.#lifecycle.require("yield");
    this.#parts.events.heard({ type: "yielded", vcpu: -1, detail: 0 });
  }

  async #standStill(): Promise<void> {
    if (this.state === "running") {
      await this.#crew.pauseVcpus();
      await this.#crew.pauseDevices();
    }
    this.#lifecycle.transition("yield");
  }

  /** Stops all vCPUs at an instruction's end, then the devices. Returns when all have. */
  pause(): Promise<void> {
    return this.#inTurn(async () => {
      this.#lifecycle.transition("pause");
      await this.#crew.pauseVcpus();
      // The guest may have ended meanwhile, and what it has written is to go out.
      if (this.state === "paused") await this.#crew.pauseDevices();
    });
  }

  /** Lets devices and vCPUs go on. */
  resume(): Promise<void> {
    return this.#inTurn(async () => {
      this.#lifecycle.transition("resume");
      await this.#crew.resume();
    });
  }

  /**
   * The registers of a vCPU, while it does not run.
   *
   * @param index of the vCPU, from 0
   * @throws VireoError of kind `unsupported` while the machine runs, `range` where it has no such vCPU
   */
  registers(index = 0): RegisterValues {
    return readRegisters(this.#standingVcpu(index));
  }

  /**
   * Sets some registers of a vCPU, while it does not run: `machine.setRegisters({ rip: 0x1000n })`.
   *
   * @param index of the vCPU, from 0
   * @throws VireoError of kind `unsupported` for an unknown name or while the machine runs, `range` for a value that is none
   */
  setRegisters(values: Readonly<Partial<RegisterValues>>, index = 0): void {
    writeRegisters(this.#standingVcpu(index), values);
  }

  #standingVcpu(index: number): Vcpu {
    this.#lifecycle.requireOpen();
    if (this.state === "running") {
      throw new VireoError(
        "unsupported",
        "Cannot reach a vCPU's registers while it runs; pause the machine first",
      );
    }
    const handle = this.#parts.vcpus[index];
    if (handle !== undefined) return handle.vcpu;
    throw new VireoError(
      "range",
      `Cannot find vCPU ${index}: the machine has ${this.config.cpus}, numbered from 0`,
    );
  }

  /**
   * Sets an input of the interrupt controllers: an edge is 1, then 0. For inputs that no device of the machine drives, or to
   * play one.
   *
   * @param gsi 0 to 23: a pin of the IOAPIC, and below 16 of the PICs too
   * @throws VireoError of kind `system` where the machine has no interrupt controllers
   */
  setIrqLine(gsi: number, level: 0 | 1): void {
    this.vm.setIrqLine(gsi, level);
  }

  /**
   * Waits, after the guest's end, until pipes and terminals have taken all that it wrote. {@linkcode Machine.close} does the
   * same with a bound of 10 s where the guest ended by itself and nobody has called this.
   *
   * @param timeout ms; Infinity for as long as it takes, or until the close
   * @returns whether all was taken
   */
  async flush(timeout: number): Promise<boolean> {
    this.#hasOutcome = false;
    return await this.#crew.flush(timeout);
  }

  /** What the guest has sent to COM1, the newest 256 KiB: its kernel's log. Empty without a serial port. */
  serialLog(): Uint8Array {
    return serialLogOf(this.#panel);
  }

  /** How far the machine's start has got when, by time; empty unless the description asks for a boot timer. */
  bootMarks(): readonly BootMark[] {
    return this.#parts.marks?.read() ?? [];
  }

  /** Tells the guest the terminal's new size, in characters. */
  resizeConsole(columns: number, rows: number): void {
    this.#lifecycle.requireOpen();
    resizeConsoleOf(this.#panel, columns, rows);
  }

  /** Presses the power button, which asks the guest to shut down. What it does about that is its own affair. */
  pressPowerButton(): void {
    this.#lifecycle.requireOpen();
    pressPowerButtonOf(this.#panel);
  }

  /**
   * Adds a device while the machine runs or before.
   *
   * @param plan what the device is
   * @throws VireoError of kind `unsupported` for a device whose module the machine was not told of when it was made
   */
  async addDevice(plan: DevicePlan): Promise<DeviceDescriptor> {
    this.#lifecycle.requireOpen();
    requireLoaded(plan, this.#parts.modules);
    const descriptor = this.#parts.devices.add(plan);
    this.#crew.addIoWorkers();
    await this.#crew.publishDevices();
    return descriptor;
  }

  /** Removes a device while the machine runs or before. When this returns no vCPU is inside it. */
  async removeDevice(id: string): Promise<void> {
    this.#lifecycle.requireOpen();
    const release = this.#parts.devices.remove(id);
    await this.#crew.publishDevices();
    release();
  }

  /**
   * Ends everything: vCPUs stop and are waited for, then the devices' backs close, then the VM goes and its memory is
   * unmapped. A run in progress rejects with kind `closed`, and so does a second close.
   *
   * @throws VireoError `internal` where a worker does not stop within 10 s. All others have then; the VM's descriptors and its memory
   *   stay, since that one may still use them
   */
  async close(): Promise<void> {
    this.#lifecycle.transition("close");
    await (this.#closing = this.#close());
  }

  /** Closes it, as {@linkcode Machine.close}, or waits for the close that was asked for before. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ?? this.close();
  }

  get #panel(): Panel {
    return { state: this.#parts.state, devices: this.devices };
  }

  async #close(): Promise<void> {
    const { holdings, devices } = this.#parts;
    this.#closed.reject(new VireoError("closed", "The machine was closed while it ran"));
    const [vcpus] = await Promise.allSettled([this.#crew.stopVcpus()]);
    if (this.#hasOutcome) await this.flush(STOP_TIMEOUT);
    const [workers] = await Promise.allSettled([this.#crew.stopDevices()]);
    for (const stopped of [vcpus, workers]) {
      if (stopped.status === "rejected") throw stopped.reason;
    }
    this.#parts.events.note("verbose", "The machine is closed");
    devices[Symbol.dispose]();
    holdings.dispose();
  }

  /** Does work on the running machine after what was asked for before, however that ended. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** The guest's tables speak of all vCPUs of the description: none may be missing. */
  #requireAllVcpus(): void {
    const { config, vcpus } = this.#parts;
    if (vcpus.length === config.cpus) return;
    throw new VireoError(
      "config",
      `Cannot run a machine of ${config.cpus} vCPUs with ${vcpus.length}; make as many as it has`,
    );
  }
}
