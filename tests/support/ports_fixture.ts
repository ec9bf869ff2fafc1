/**
 * A console with ports on the bench, and a driver that talks to it as Linux does.
 *
 * @module
 */

import {
  VIRTIO_CONSOLE_DEVICE_READY,
  VIRTIO_CONSOLE_PORT_ADD,
  VIRTIO_CONSOLE_PORT_NAME,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY,
  VIRTIO_CONSOLE_PORT_REMOVE,
} from "../../src/abi/virtio_devices.ts";
import { controlBytes } from "../../src/virtio/console_control.ts";
import {
  ConsolePorts,
  consolePortsSpec,
  type PortOptions,
} from "../../src/virtio/console_ports.ts";
import type { DriverQueue } from "./driver.ts";
import { VirtioBench } from "./virtio_bench.ts";

const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
/** Where output is put before it is sent, the same place for all. */
const OUTPUT = 0xc000_0000;

const EVENTS: Readonly<Record<number, string>> = {
  [VIRTIO_CONSOLE_PORT_ADD]: "add",
  [VIRTIO_CONSOLE_PORT_OPEN]: "open",
  [VIRTIO_CONSOLE_PORT_NAME]: "name",
  [VIRTIO_CONSOLE_PORT_REMOVE]: "remove",
};

/** A port and its descriptors, -1 or absent for none. */
export interface TestPort {
  readonly name: string;
  readonly input?: number;
  readonly output?: number;
  readonly control?: boolean;
}

/** The device and its driver. */
export class PortsFixture implements Disposable {
  readonly bench: VirtioBench;

  /** @param ports what the device is made of */
  constructor(...ports: readonly TestPort[]) {
    const options = ports.map(({ name, input, output, control = false }, i): PortOptions => ({
      name,
      input: input === undefined ? null : `input${i}`,
      output: output === undefined ? null : `output${i}`,
      control,
    }));
    const fds = ports.flatMap(({ input = -1, output = -1 }, i) => [
      [`input${i}`, input],
      [`output${i}`, output],
    ]);
    this.bench = VirtioBench.open({
      spec: consolePortsSpec(ports.length),
      device: (context) => new ConsolePorts(context),
      fds: Object.fromEntries(fds),
      options: { ports: options },
    });
    this.bench.initialize();
  }

  /** A queue of a port: `receive` or `transmit`. */
  index(port: number, direction: "receive" | "transmit"): number {
    return (port === 0 ? 0 : 2 * port + 2) + (direction === "receive" ? 0 : 1);
  }

  /** A queue of the driver. */
  queue(index: number): DriverQueue {
    const queue = this.bench.driver.queues[index];
    if (queue === undefined) throw new Error(`There is no queue ${index}`);
    return queue;
  }

  /** Sends a control message. */
  control(id: number, event: number, value: number): void {
    this.controlBytes(controlBytes({ id, event, value }));
  }

  /** Sends bytes as a control message. */
  controlBytes(bytes: Uint8Array): void {
    this.queue(CONTROL_TRANSMIT).add([{ readable: bytes }]);
    this.bench.notify(CONTROL_TRANSMIT);
    this.queue(CONTROL_TRANSMIT).used();
  }

  /** Offers buffers for control messages and gives what the device says: `add 0`, `name 0 data`. */
  news(buffers = 16): string[] {
    const queue = this.queue(CONTROL_RECEIVE);
    const free = Math.min(buffers, queue.free);
    for (let i = 0; i < free; i++) queue.add([{ writable: 32 }]);
    this.bench.notify(CONTROL_RECEIVE);
    return queue.used().map(({ head, length }) => {
      const bytes = queue.written(head).slice(0, length);
      const view = new DataView(bytes.buffer);
      const event = EVENTS[view.getUint16(4, true)];
      const id = view.getUint32(0, true);
      if (event === "name") return `name ${id} ${new TextDecoder().decode(bytes.subarray(8))}`;
      return event === "open" ? `open ${id} ${view.getUint16(6, true)}` : `${event} ${id}`;
    });
  }

  /** Does what Linux does until a program has all ports open. */
  setUp(ports: number): void {
    this.control(0xffff_ffff, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (let id = 0; id < ports; id++) this.control(id, VIRTIO_CONSOLE_PORT_READY, 1);
    for (let id = 0; id < ports; id++) this.control(id, VIRTIO_CONSOLE_PORT_OPEN, 1);
    while (this.news().length > 0);
  }

  /** Sends output of the guest; gives whether its buffer came back. */
  send(port: number, bytes: Uint8Array | string): boolean {
    const what = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const index = this.index(port, "transmit");
    this.queue(index).add([{ readable: what, at: OUTPUT }]);
    this.bench.notify(index);
    return this.queue(index).used().length > 0;
  }

  /** Offers a buffer for input. */
  offer(port: number, room = 64): void {
    const index = this.index(port, "receive");
    this.queue(index).add([{ writable: room }]);
    this.bench.notify(index);
  }

  /** What has come into the buffers that were offered. */
  arrived(port: number): Uint8Array {
    this.bench.turn();
    const queue = this.queue(this.index(port, "receive"));
    const parts = queue.used().map(({ head, length }) => queue.written(head).subarray(0, length));
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  }

  /** The same as text. */
  text(port: number): string {
    return new TextDecoder().decode(this.arrived(port));
  }

  [Symbol.dispose](): void {
    this.bench[Symbol.dispose]();
  }
}
