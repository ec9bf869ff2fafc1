/**
 * Backs of chips on an event loop that a test turns by hand.
 *
 * @module
 */

import { O_NONBLOCK, O_RDWR } from "../../src/abi/linux.ts";
import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import type { Back, BackContext } from "../../src/devices/back.ts";
import { EventFd, Fd } from "../../src/host/fd.ts";
import { read } from "../../src/host/file.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { TestLoop } from "../support/test_loop.ts";
import { RecordingContext } from "./chip_fixture.ts";

/** What isolates give their backs; interrupts and warnings are recorded by the front's context. */
export class BackRig implements BackContext, Disposable {
  readonly #stack = new DisposableStack();
  readonly loop = this.#stack.use(new TestLoop()).loop;
  readonly front: RecordingContext;
  readonly memory = GuestMemory.onBuffers([]);
  readonly #notify = this.#stack.use(EventFd.create());

  constructor(front: RecordingContext) {
    this.front = front;
    front.onSignal = () => this.#notify.signal();
  }

  get state(): RecordingContext["state"] {
    return this.front.state;
  }

  irqLine(descriptor: DeviceDescriptor): ReturnType<RecordingContext["irqLine"]> {
    return this.front.irqLine(descriptor);
  }

  warn(descriptor: DeviceDescriptor, message: string): void {
    this.front.warn(descriptor, message);
  }

  post(): void {
    throw new Error("No chip tells its owner anything");
  }

  /** The descriptor with a real eventfd for its `notify`. */
  connect(descriptor: DeviceDescriptor): DeviceDescriptor {
    return { ...descriptor, fds: { ...descriptor.fds, notify: this.#notify.number } };
  }

  /** Starts a back, and closes it with the rig. */
  start(back: Back): void {
    this.#stack.defer(() => back.close());
    back.activate();
  }

  /** Handles events until none has come for `quiet` ms. */
  settle(quiet = 20): void {
    while (this.loop.runOnce(quiet) > 0);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** A pipe that holds 64 KiB, with both ends open in one descriptor, so that it never ends. */
export class TestPipe implements Disposable {
  readonly #stack = new DisposableStack();
  readonly path: string;
  readonly fd: Fd;

  constructor() {
    const folder = Deno.makeTempDirSync({ prefix: "vireo-pipe-" });
    this.#stack.defer(() => Deno.removeSync(folder, { recursive: true }));
    this.path = `${folder}/pipe`;
    new Deno.Command("mkfifo", { args: [this.path] }).outputSync();
    this.fd = this.#stack.use(Fd.open(this.path, O_RDWR | O_NONBLOCK));
  }

  /** All that is in the pipe. */
  drain(): string {
    const bytes = new Uint8Array(65536);
    const count = read(this.fd.number, bytes);
    return new TextDecoder().decode(bytes.subarray(0, Math.max(0, count)));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
