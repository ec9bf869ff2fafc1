/**
 * A console with ports (virtio 1.3 §5.3 with VIRTIO_CONSOLE_F_MULTIPORT): byte streams with names for the guest's programs,
 * 8-bit clean, that lose nothing and make each side wait for the other.
 *
 * @module
 */

import {
  VIRTIO_CONSOLE_DEVICE_READY,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY,
  VIRTIO_ID_CONSOLE,
  VirtioConsoleConfig,
} from "../abi/virtio_devices.ts";
import { RateLimit } from "../base/rate_limit.ts";
import { sizeof } from "../base/struct.ts";
import type { PlainValue } from "../bus/device_descriptor.ts";
import { CONTROL_SIZE, type ControlMessage, readControl } from "./console_control.ts";
import { ConsolePort, PORT_QUEUE_SIZE } from "./console_port.ts";
import { DescriptorChain } from "./descriptor_chain.ts";
import { LineSplitter } from "./line_splitter.ts";
import type { VirtioContext, VirtioDevice } from "./virtio_device.ts";
import type { VirtioSpec } from "./virtio_spec.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Most bytes of a line on a control port; longer ones are cut. */
export const CONTROL_LINE_SIZE = 4096;

/** Lines a second that a control port passes on, and how many at once: a guest may not flood its owner. */
const LINES = 1024;

// The first port's queues come before the control queues (virtio 1.3 §5.3.2).
const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
const CONTROL_QUEUE_SIZE = 32;

/** A port in a descriptor's options. A type and no interface, so that it is plain data. */
export type PortOptions = {
  /** Up to 64 bytes; the guest finds it in /sys/class/virtio-ports. */
  readonly name: string;
  /** Role of the descriptor whose bytes go to the guest, or null. */
  readonly input: string | null;
  /** Role of the descriptor that the guest's bytes go to, or null. */
  readonly output: string | null;
  /** Whether the guest's bytes are lines that are posted as `{ port, line }` instead. */
  readonly control: boolean;
};

/** Two queues a port and two for control. */
export function consolePortsSpec(ports: number): VirtioSpec {
  const config = new Uint8Array(sizeof(VirtioConsoleConfig));
  new DataView(config.buffer).setUint32(VirtioConsoleConfig.max_nr_ports, ports, true);
  const pairs = Array.from({ length: ports + 1 }, (_, pair) => pair === 1);
  return {
    deviceId: VIRTIO_ID_CONSOLE,
    features: [VIRTIO_CONSOLE_F_MULTIPORT],
    queueSizes: pairs.flatMap((control) => {
      const size = control ? CONTROL_QUEUE_SIZE : PORT_QUEUE_SIZE;
      return [size, size];
    }),
    config,
  };
}

/** The device. Descriptors: those that its ports name, all borrowed. Options: `ports`, a list of {@linkcode PortOptions}. */
export class ConsolePorts implements VirtioDevice {
  readonly #context: VirtioContext;
  readonly #ports: readonly ConsolePort[];
  readonly #chain: DescriptorChain;
  readonly #message = new Uint8Array(CONTROL_SIZE);

  /**
   * Ports on the host's descriptors.
   *
   * @param context of its back
   */
  constructor(context: VirtioContext) {
    this.#context = context;
    this.#chain = new DescriptorChain(context.memory, CONTROL_QUEUE_SIZE);
    const ports = context.descriptor.options["ports"] as readonly (PortOptions & PlainValue)[];
    this.#ports = ports.map((port, id) => this.#makePort(port, id));
  }

  /** Without MULTIPORT there is but the first port, and nobody says when it is open. */
  activate(): void {
    const { state } = this.#context;
    if (!state.hasFeature(VIRTIO_CONSOLE_F_MULTIPORT)) this.#ports[0]?.setGuestOpen(true);
  }

  /** Moves data of a port, or control messages. */
  processQueue(index: number, queue: Virtqueue): void {
    if (index === CONTROL_RECEIVE) return this.#tell(queue);
    if (index === CONTROL_TRANSMIT) return this.#listen(queue);
    const pair = Math.trunc(index / 2);
    const port = this.#ports[pair === 0 ? 0 : pair - 1];
    if (index % 2 === 0) port?.receive(queue);
    else port?.transmit(queue);
  }

  /** Stops reading and writing. */
  drain(): void {
    for (const port of this.#ports) port.drain();
  }

  /** The driver is gone; its output is kept. */
  reset(): void {
    for (const port of this.#ports) port.reset();
  }

  /** Whether output of the guest waits for the host to take it. */
  pending(): boolean {
    return this.#ports.filter((port) => port.pending()).length > 0;
  }

  /** Lets go of the ports' streams. */
  close(): void {
    for (const port of this.#ports) port.close();
  }

  /** What the ports keep. */
  save(): Uint8Array {
    return Uint8Array.from(this.#ports.flatMap((port) => [...port.save()]));
  }

  /** Takes back what `save` gave. */
  restore(_version: number, bytes: Uint8Array): void {
    let at = 0;
    for (const port of this.#ports) at += port.restore(bytes.subarray(at));
  }

  #makePort(port: PortOptions, id: number): ConsolePort {
    const { fds } = this.#context.descriptor;
    const limit = new RateLimit(LINES, LINES);
    const post = (line: string) => {
      if (limit.allows()) this.#context.post({ port: port.name, line });
    };
    const pair = id === 0 ? 0 : id + 1;
    return new ConsolePort(this.#context, {
      id,
      name: port.name,
      input: port.input === null ? undefined : fds[port.input],
      output: port.output === null ? undefined : fds[port.output],
      lines: port.control ? new LineSplitter(CONTROL_LINE_SIZE, post) : undefined,
      receive: 2 * pair,
      transmit: 2 * pair + 1,
      onNews: () => this.#context.process(CONTROL_RECEIVE),
    });
  }

  /** Tells the driver all news that it has buffers for. */
  #tell(queue: Virtqueue): void {
    for (const { news } of this.#ports) {
      while (news.any && queue.pop(this.#chain)) {
        const message = news.next() ?? new Uint8Array();
        queue.pushUsed(this.#chain.head, this.#chain.write(0, message));
      }
    }
  }

  #listen(queue: Virtqueue): void {
    while (queue.pop(this.#chain)) {
      const length = this.#chain.read(0, this.#message);
      const message = readControl(this.#message.subarray(0, length));
      // Given back first: what the message brings about may process this device's other queues.
      queue.pushUsed(this.#chain.head, 0);
      if (message) this.#handle(message);
      else this.#context.warn(`Driver sent a control message of ${length} bytes`);
    }
    this.#context.process(CONTROL_RECEIVE);
  }

  #handle(message: ControlMessage): void {
    const { event, id, value } = message;
    if (event === VIRTIO_CONSOLE_DEVICE_READY) {
      if (value === 1) { for (const each of this.#ports) each.add(); }
      else this.#context.warn("Driver could not set the console up");
      return;
    }
    const port = this.#ports[id];
    if (port === undefined) {
      return this.#context.warn(`Driver sent control event ${event} for port ${id}, which is none`);
    }
    switch (event) {
      case VIRTIO_CONSOLE_PORT_READY:
        if (value === 1) port.ready();
        else this.#context.warn(`Driver could not set port ${id} up`);
        return;
      case VIRTIO_CONSOLE_PORT_OPEN:
        return port.setGuestOpen(value === 1);
      default:
        this.#context.warn(`Driver sent unknown control event ${event}`);
    }
  }
}
