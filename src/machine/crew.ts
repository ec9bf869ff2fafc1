/**
 * The workers of a machine: all vCPUs and all I/O, told together what to do. vCPUs stop before devices and go on after them.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { VcpuState, Wanted } from "../vcpu/control.ts";
import type { DeviceSet } from "./device_set.ts";
import type { IoWorkerHandle } from "./io_worker_handle.ts";
import type { VcpuHandle } from "./vcpu_handle.ts";

/** What a crew is made of. */
export interface CrewParts {
  readonly vcpus: readonly VcpuHandle[];
  readonly ioWorkers: IoWorkerHandle[];
  /** Makes the I/O worker of that number, for a device that is added later and needs one of its own. */
  readonly makeIoWorker: (index: number) => IoWorkerHandle;
  readonly devices: DeviceSet;
  /** Everything else that was made, in order; what the crew makes later is put on it. */
  readonly holdings: DisposableStack;
}

/** How long workers get to stop, and outputs to take what the guest has written, in ms. */
export const STOP_TIMEOUT = 10_000;

/** How long workers get to load a program's modules and make their devices, in ms: they give up before that themselves. */
const PREPARE_TIMEOUT = 30_000;

/** All workers of one machine. */
export class Crew {
  readonly #parts: CrewParts;
  #started = false;
  #starting: Promise<void> = Promise.resolve();
  #paused = false;

  /** @param parts what it is made of; nothing runs yet */
  constructor(parts: CrewParts) {
    this.#parts = parts;
  }

  /** What each vCPU's worker does now. */
  get vcpuStates(): readonly VcpuState[] {
    return this.#parts.vcpus.map(({ control }) => control.state);
  }

  /**
   * Starts all workers, which make their devices and then wait for {@linkcode Crew.start}.
   *
   * @returns whether all have; what failed has been said, or is about to be
   * @throws VireoError of kind `device` where one is not ready in time
   */
  async prepare(): Promise<boolean> {
    const { vcpus, ioWorkers } = this.#parts;
    const workers = [...vcpus, ...ioWorkers];
    const prepared = workers.map((worker) => worker.prepare(PREPARE_TIMEOUT));
    await allDone(prepared);
    return (await Promise.all(prepared)).every((one) => one);
  }

  /**
   * vCPU 0 first, since it boots the guest; what the guest needs only later starts while it runs, and not before: the start of an
   * isolate takes a processor for some 10 ms.
   *
   * @param together all workers are up before any enters the guest
   * @returns when all are being started; rejects where one could not be
   */
  start(together: boolean): Promise<void> {
    this.#started = true;
    for (const worker of this.#parts.ioWorkers) worker.release();
    return this.#starting = together ? this.#startAll() : this.#startFirst();
  }

  async #startFirst(): Promise<void> {
    const { vcpus, ioWorkers } = this.#parts;
    const [first, ...others] = vcpus;
    first?.start();
    await first?.control.until((state) => state >= VcpuState.running, STOP_TIMEOUT);
    for (const worker of ioWorkers) worker.start();
    for (const handle of others) handle.start();
  }

  // deno-lint-ignore require-await -- what fails rejects
  async #startAll(): Promise<void> {
    const { vcpus, ioWorkers } = this.#parts;
    for (const worker of ioWorkers) worker.start();
    for (const handle of vcpus) if (!handle.alive) handle.spawn();
    void this.#startWhenReady();
  }

  async #startWhenReady(): Promise<void> {
    const { vcpus, ioWorkers } = this.#parts;
    await Promise.all([
      ...vcpus.map(({ control }) => control.until((s) => s !== VcpuState.starting, STOP_TIMEOUT)),
      ...ioWorkers.map((worker) => worker.comesUp(STOP_TIMEOUT)),
    ]);
    for (const handle of vcpus) if (handle.alive) handle.start();
  }

  /** Stops all vCPUs at an instruction's end. */
  async pauseVcpus(): Promise<void> {
    this.#paused = true;
    await this.#requestAll(Wanted.pause, (state) => state >= VcpuState.paused);
  }

  /** Stops the devices, after the vCPUs. */
  async pauseDevices(): Promise<void> {
    for (const worker of this.#parts.ioWorkers) await worker.pause(STOP_TIMEOUT);
  }

  /** Lets devices and vCPUs go on. */
  async resume(): Promise<void> {
    this.#paused = false;
    for (const worker of this.#parts.ioWorkers) await worker.resume(STOP_TIMEOUT);
    await this.#requestAll(Wanted.run, (state) => state !== VcpuState.paused);
  }

  async #requestAll(wanted: Wanted, done: (state: VcpuState) => boolean): Promise<void> {
    const { vcpus } = this.#parts;
    for (const handle of vcpus) handle.request(wanted);
    for (const { id, control } of vcpus) {
      if (await control.until(done, STOP_TIMEOUT)) continue;
      throw new VireoError(
        "internal",
        `Cannot pause or resume vCPU ${id}: no answer within ${STOP_TIMEOUT} ms`,
      );
    }
  }

  /** Waits until pipes and terminals have taken all that the guest wrote, at most `timeout` ms; whether they have. */
  async flush(timeout: number): Promise<boolean> {
    const finished = this.#parts.ioWorkers.map((worker) => worker.finish(timeout));
    return (await Promise.all(finished)).every((all) => all);
  }

  /** Makes the I/O workers that the devices need by now. */
  addIoWorkers(): void {
    const { ioWorkers, devices, makeIoWorker, holdings } = this.#parts;
    while (ioWorkers.length < devices.workers) {
      const worker = holdings.use(makeIoWorker(ioWorkers.length));
      ioWorkers.push(worker);
      if (this.#started) worker.start();
      // Asked before it is up, it holds still from its start on.
      if (this.#paused) void worker.pause(STOP_TIMEOUT).catch(() => {});
    }
  }

  /** Waits until every vCPU goes by the new device list, and every I/O worker has taken it up. */
  async publishDevices(): Promise<void> {
    const { vcpus, ioWorkers, devices } = this.#parts;
    const generation = devices.publish();
    for (const handle of vcpus) if (handle.alive) handle.kick();
    for (const worker of ioWorkers) await worker.changed(generation, STOP_TIMEOUT);
    for (const { id, control } of vcpus) {
      // A vCPU that has not started, is paused or has stopped reads the table before its next exit is answered.
      if (await control.untilGeneration(generation, STOP_TIMEOUT)) continue;
      throw new VireoError(
        "internal",
        `Cannot change the devices of vCPU ${id}: no answer within ${STOP_TIMEOUT} ms`,
      );
    }
  }

  /** Ends all vCPUs' workers. */
  async stopVcpus(): Promise<void> {
    const { vcpus } = this.#parts;
    // What is still to be started could not be stopped; the run tells of a start that failed.
    await this.#starting.catch(() => {});
    for (const handle of vcpus) handle.request(Wanted.stop);
    await allDone(vcpus.map((handle) => handle.join(STOP_TIMEOUT)));
  }

  /** Ends the I/O workers, after the vCPUs'. */
  async stopDevices(): Promise<void> {
    await allDone(this.#parts.ioWorkers.map((worker) => worker.stop(STOP_TIMEOUT)));
  }
}

/** Waits for all of them, whichever fail; then throws what the first one did. */
async function allDone(works: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) {
    if (result.status === "rejected") throw result.reason;
  }
}
