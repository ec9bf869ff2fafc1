/**
 * A machine: what its owner holds. It is born by {@linkcode buildMachine} with everything in place and nothing running.
 *
 * @module
 */

import { VIRTIO_MMIO_INT_CONFIG } from "../abi/virtio.ts";
import { VirtioConsoleConfig } from "../abi/virtio_devices.ts";
import { VireoError } from "../base/errors.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { EdgeIrq } from "../bus/irq_line.ts";
import type { MachineConfig } from "../config/machine_config.ts";
import { pressPowerButton } from "../devices/acpi_pm.ts";
import type { BootMark, BootMarks } from "../devices/boot_marks.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import { SerialLog } from "../devices/serial_log.ts";
import { EventFd } from "../host/fd.ts";
import type { Vm } from "../kvm/vm.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { VcpuState, Wanted } from "../vcpu/control.ts";
import type { VcpuEnded } from "../vcpu/messages.ts";
import { consoleSizeBytes } from "../virtio/console.ts";
import { PHASE, VirtioState } from "../virtio/virtio_state.ts";
import { ACPI_ID, CONSOLE_ID, SERIAL_ID } from "./device_plans.ts";
import type { DeviceSet } from "./device_set.ts";
import type { MachineEvents } from "./events.ts";
import type { IoWorkerHandle } from "./io_worker_handle.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import type { VcpuHandle } from "./vcpu_handle.ts";

/** What a machine does now. */
export type MachineState = "created" | "running" | "paused" | "ended" | "closed";

/** What may be done to a machine in which states, and the state that follows. A machine runs once. */
const TRANSITIONS = {
  run: { from: ["created"], to: "running" },
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "running" },
  end: { from: ["running", "paused"], to: "ended" },
  close: { from: ["created", "running", "paused", "ended"], to: "closed" },
} as const satisfies Record<
  string,
  { readonly from: readonly MachineState[]; readonly to: MachineState }
>;

/** What the builder hands over. */
export interface MachineParts {
  readonly config: MachineConfig;
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly state: SharedState;
  readonly marks: BootMarks | undefined;
  readonly vcpus: readonly VcpuHandle[];
  readonly ioWorkers: IoWorkerHandle[];
  /** Makes the I/O worker of that number, for a device that is added later and needs one of its own. */
  readonly makeIoWorker: (index: number) => IoWorkerHandle;
  readonly devices: DeviceSet;
  /** Where the workers' words arrive. */
  readonly events: MachineEvents;
  /** Everything else that was made, in order; disposed in reverse after all workers have stopped. */
  readonly holdings: DisposableStack;
}

/** How long workers get to stop, and outputs to take what the guest has written, in ms. */
const STOP_TIMEOUT = 10_000;

/** A KVM virtual machine. */
export class Machine implements AsyncDisposable {
  readonly #parts: MachineParts;
  #state: MachineState = "created";
  #closing: Promise<void> | undefined;
  /** The pause or resume under way: the next one waits for it. */
  #turn: Promise<void> = Promise.resolve();
  /** The guest ended by itself, so its last words are worth a wait. */
  #hasOutcome = false;
  readonly #closed = Promise.withResolvers<never>();

  private constructor(parts: MachineParts) {
    this.#parts = parts;
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

  /** What the machine was made from. */
  get config(): MachineConfig {
    return this.#parts.config;
  }

  /** What it does now. */
  get state(): MachineState {
    return this.#state;
  }

  /** What each vCPU's worker does now. */
  get vcpuStates(): readonly VcpuState[] {
    return this.#parts.vcpus.map(({ control }) => control.state);
  }

  /** Guest RAM. Throws with kind `closed` after close, when there is none. */
  get memory(): GuestMemory {
    this.#requireOpen();
    return this.#parts.memory;
  }

  /** The VM's ioctls: for what this class has no method for. */
  get vm(): Vm {
    this.#requireOpen();
    return this.#parts.vm;
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
   * Runs the machine until it ends, which it does once.
   *
   * @param options `signal`: ends the run from outside; the promise then rejects with the signal's reason
   * @returns how it ended
   */
  async run({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Outcome> {
    signal?.throwIfAborted();
    this.#requireAllVcpus();
    this.#do("run");
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    const abort = () => aborted.reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    try {
      this.#start();
      const ended = await Promise.race([
        this.#parts.events.ended,
        aborted.promise,
        this.#closed.promise,
      ]);
      this.#hasOutcome = true;
      return requireOutcome(ended);
    } finally {
      signal?.removeEventListener("abort", abort);
      await this.#stopVcpus();
      if (this.#closing === undefined) this.#do("end");
    }
  }

  /** Stops all vCPUs at an instruction's end, then the devices. Returns when all have. */
  pause(): Promise<void> {
    return this.#inTurn(async () => {
      this.#do("pause");
      await this.#requestAll(Wanted.pause, (state) => state >= VcpuState.paused);
      // The guest may have ended meanwhile, and what it has written is to go out.
      if (this.#state !== "paused") return;
      for (const worker of this.#parts.ioWorkers) await worker.pause(STOP_TIMEOUT);
    });
  }

  /** Lets devices and vCPUs go on. */
  resume(): Promise<void> {
    return this.#inTurn(async () => {
      this.#do("resume");
      for (const worker of this.#parts.ioWorkers) await worker.resume(STOP_TIMEOUT);
      await this.#requestAll(Wanted.run, (state) => state !== VcpuState.paused);
    });
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
    const finished = this.#parts.ioWorkers.map((worker) => worker.finish(timeout));
    return (await Promise.all(finished)).every((all) => all);
  }

  /** What the guest has sent to COM1, the newest 256 KiB: its kernel's log. Empty without a serial port. */
  serialLog(): Uint8Array {
    const serial = this.devices.find(({ id }) => id === SERIAL_ID);
    if (serial === undefined) return new Uint8Array();
    return new SerialLog(this.#parts.state, serial).tail(serial.options["logSize"] as number);
  }

  /** How far the machine's start has got when, by time; empty unless the description asks for a boot timer. */
  bootMarks(): readonly BootMark[] {
    return this.#parts.marks?.read() ?? [];
  }

  /** Tells the guest the terminal's new size, in characters. */
  resizeConsole(columns: number, rows: number): void {
    this.#requireOpen();
    const console = this.devices.find(({ id }) => id === CONSOLE_ID);
    if (console === undefined) return;
    const state = VirtioState.attach(this.#parts.state, console.state);
    state.changeConfig(VirtioConsoleConfig.cols, consoleSizeBytes({ columns, rows }));
    // A driver that comes later reads what is there (virtio 1.3 §3.1.1).
    if (state.phase !== PHASE.ACTIVE) return;
    state.addInterrupt(VIRTIO_MMIO_INT_CONFIG);
    new EdgeIrq(EventFd.borrow(console.irqFd)).trigger();
  }

  /** Presses the power button, which asks the guest to shut down. What it does about that is its own affair. */
  pressPowerButton(): void {
    this.#requireOpen();
    const acpi = this.devices.find(({ id }) => id === ACPI_ID);
    if (acpi === undefined) return;
    pressPowerButton(this.#parts.state, acpi, new EdgeIrq(EventFd.borrow(acpi.irqFd)));
  }

  /**
   * Adds a device while the machine runs or before.
   *
   * @param plan what the device is
   */
  async addDevice(plan: DevicePlan): Promise<DeviceDescriptor> {
    this.#requireOpen();
    const descriptor = this.#parts.devices.add(plan);
    this.#addIoWorkers();
    await this.#publishDevices();
    return descriptor;
  }

  /** Removes a device while the machine runs or before. When this returns no vCPU is inside it. */
  async removeDevice(id: string): Promise<void> {
    this.#requireOpen();
    const release = this.#parts.devices.remove(id);
    await this.#publishDevices();
    release();
  }

  /**
   * Ends everything: vCPUs stop and are waited for, then the devices' backs close, then the VM goes and its memory is
   * unmapped. A run in progress rejects with kind `closed`, and so does a second close.
   */
  async close(): Promise<void> {
    this.#do("close");
    await (this.#closing = this.#close());
  }

  /** Closes it, as {@linkcode Machine.close}, or waits for the close that was asked for before. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ?? this.close();
  }

  /**
   * vCPU 0 first, since it boots the guest; what the guest needs only later starts while it runs. With the barrier all workers
   * are up before any enters the guest.
   */
  #start(): void {
    const { vcpus, ioWorkers } = this.#parts;
    const barrier = this.config.startBarrier;
    for (const handle of vcpus) {
      if (!barrier) handle.start();
      else if (!handle.alive) handle.spawn();
      if (handle.index === 0) { for (const worker of ioWorkers) worker.start(); }
    }
    if (barrier) void this.#startWhenReady();
  }

  /** Makes the I/O workers that the devices need by now. */
  #addIoWorkers(): void {
    const { ioWorkers, devices, makeIoWorker, holdings } = this.#parts;
    while (ioWorkers.length < devices.workers) {
      const worker = holdings.use(makeIoWorker(ioWorkers.length));
      ioWorkers.push(worker);
      if (this.#state !== "created") worker.start();
      // Asked before it is up, it holds still from its start on.
      if (this.#state === "paused") void worker.pause(STOP_TIMEOUT).catch(() => {});
    }
  }

  async #startWhenReady(): Promise<void> {
    const { vcpus } = this.#parts;
    await Promise.all(
      vcpus.map(({ control }) => control.until((s) => s !== VcpuState.starting, STOP_TIMEOUT)),
    );
    for (const handle of vcpus) if (handle.alive) handle.start();
  }

  async #requestAll(wanted: Wanted, done: (state: VcpuState) => boolean): Promise<void> {
    const { vcpus } = this.#parts;
    for (const handle of vcpus) handle.request(wanted);
    for (const { index, control } of vcpus) {
      if (await control.until(done, STOP_TIMEOUT)) continue;
      throw new VireoError(
        "internal",
        `Cannot pause or resume vCPU ${index}: no answer within ${STOP_TIMEOUT} ms`,
      );
    }
  }

  /** Waits until every vCPU goes by the new device list, and every I/O worker has taken it up. */
  async #publishDevices(): Promise<void> {
    const { vcpus, ioWorkers, devices } = this.#parts;
    const generation = devices.publish();
    for (const handle of vcpus) if (handle.alive) handle.kick();
    for (const worker of ioWorkers) await worker.changed(generation, STOP_TIMEOUT);
    for (const { control } of vcpus) {
      // A vCPU that has not started, is paused or has stopped reads the table before its next exit is answered.
      await control.untilGeneration(generation, STOP_TIMEOUT);
    }
  }

  async #stopVcpus(): Promise<void> {
    const { vcpus } = this.#parts;
    for (const handle of vcpus) handle.request(Wanted.stop);
    const results = await Promise.allSettled(vcpus.map((handle) => handle.join(STOP_TIMEOUT)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #close(): Promise<void> {
    const { ioWorkers, holdings, devices } = this.#parts;
    this.#closed.reject(new VireoError("closed", "The machine was closed while it ran"));
    await this.#stopVcpus();
    if (this.#hasOutcome) await this.flush(STOP_TIMEOUT);
    for (const worker of ioWorkers) await worker.stop(STOP_TIMEOUT);
    devices[Symbol.dispose]();
    holdings.dispose();
  }

  /** Goes on to the state that follows, where that may be done now. */
  #do(what: keyof typeof TRANSITIONS): void {
    const { from, to } = TRANSITIONS[what];
    this.#requireOpen();
    if (!from.some((state) => state === this.#state)) {
      throw new VireoError(
        "unsupported",
        `Cannot ${what} a machine that is ${this.#state}; only one that is ${from.join(" or ")}`,
      );
    }
    this.#state = to;
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

  #requireOpen(): void {
    if (this.#state === "closed") {
      throw new VireoError("closed", "Cannot use a machine after its close; build a new one");
    }
  }
}

function requireOutcome(ended: VcpuEnded): Outcome {
  const outcome = outcomeOf(ended);
  if (outcome === undefined) {
    const who = ended.vcpu < 0 ? "An I/O worker" : `vCPU ${ended.vcpu}'s worker`;
    throw new VireoError("internal", `${who} failed: ${ended.text}`);
  }
  return outcome;
}
