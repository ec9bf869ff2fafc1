/**
 * Control messages of a console with ports (virtio 1.3 §5.3.6.2): what the device still has to tell about each port. Kept as
 * what is wanted rather than as a list of messages, so that no guest can make it grow.
 *
 * @module
 */

import {
  VIRTIO_CONSOLE_PORT_ADD,
  VIRTIO_CONSOLE_PORT_NAME,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_REMOVE,
  VirtioConsoleControl,
} from "../abi/virtio_devices.ts";
import { sizeof } from "../base/struct.ts";

/** Bytes of a control message without a name. */
export const CONTROL_SIZE: number = sizeof(VirtioConsoleControl);

/** A control message that came from the driver. */
export interface ControlMessage {
  /** Port number. */
  readonly id: number;
  /** `VIRTIO_CONSOLE_*`. */
  readonly event: number;
  /** What it means depends on the event. */
  readonly value: number;
}

/** Reads a message; undefined where it is too short. */
export function readControl(bytes: Uint8Array): ControlMessage | undefined {
  if (bytes.length < CONTROL_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    id: view.getUint32(VirtioConsoleControl.id, true),
    event: view.getUint16(VirtioConsoleControl.event, true),
    value: view.getUint16(VirtioConsoleControl.value, true),
  };
}

/** The bytes of a message, a name behind it where there is one. */
export function controlBytes(message: ControlMessage, name = ""): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(name);
  const bytes = new Uint8Array(CONTROL_SIZE + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(VirtioConsoleControl.id, message.id, true);
  view.setUint16(VirtioConsoleControl.event, message.event, true);
  view.setUint16(VirtioConsoleControl.value, message.value, true);
  bytes.set(text, CONTROL_SIZE);
  return bytes;
}

/** What there can be to tell about a port, in the order in which it is told; each with the number it is saved as. */
const NEWS = { add: 1, open: 2, close: 4, name: 8, remove: 16 } as const;

/**
 * What the driver has not been told yet about one port. Messages go out in the order ADD, OPEN, NAME, REMOVE: Linux makes the
 * name visible when it comes, and whoever finds a port by its name and reads before it was opened would see an end of file.
 */
export class PortNews {
  readonly #id: number;
  readonly #name: string;
  readonly #waiting = new Set<keyof typeof NEWS>();

  /**
   * Nothing to tell.
   *
   * @param id the port's number
   * @param name what the guest finds it by
   */
  constructor(id: number, name: string) {
    this.#id = id;
    this.#name = name;
  }

  /** Whether there is something to tell. */
  get any(): boolean {
    return this.#waiting.size > 0;
  }

  /** The port exists. */
  add(): void {
    this.#waiting.add("add");
  }

  /** The host's end of the port is open, or closed; only the latest counts. */
  open(value: boolean): void {
    this.#waiting.delete(value ? "close" : "open");
    this.#waiting.add(value ? "open" : "close");
  }

  /** What the port is called. */
  announceName(): void {
    this.#waiting.add("name");
  }

  /** The port is gone: whoever still uses it gets an error. */
  remove(): void {
    this.#waiting.add("remove");
  }

  /** Forgets all news. */
  clear(): void {
    this.#waiting.clear();
  }

  /** The next message, or undefined where all is told. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    for (const news of Object.keys(NEWS) as (keyof typeof NEWS)[]) {
      if (this.#waiting.delete(news)) return this.#message(news);
    }
    return undefined;
  }

  /** All news as a number, for a snapshot. */
  save(): number {
    return [...this.#waiting].reduce((sum, news) => sum + NEWS[news], 0);
  }

  /** Takes back what {@linkcode PortNews.save} gave; what is no news is left out. */
  restore(saved: number): void {
    this.#waiting.clear();
    for (const [news, bit] of Object.entries(NEWS) as [keyof typeof NEWS, number][]) {
      if (Math.trunc(saved / bit) % 2 === 1) this.#waiting.add(news);
    }
  }

  #message(news: keyof typeof NEWS): Uint8Array<ArrayBuffer> {
    const id = this.#id;
    switch (news) {
      case "add":
        return controlBytes({ id, event: VIRTIO_CONSOLE_PORT_ADD, value: 0 });
      case "open":
        return controlBytes({ id, event: VIRTIO_CONSOLE_PORT_OPEN, value: 1 });
      case "close":
        return controlBytes({ id, event: VIRTIO_CONSOLE_PORT_OPEN, value: 0 });
      case "name":
        return controlBytes({ id, event: VIRTIO_CONSOLE_PORT_NAME, value: 1 }, this.#name);
      case "remove":
        return controlBytes({ id, event: VIRTIO_CONSOLE_PORT_REMOVE, value: 0 });
      default:
        return news satisfies never;
    }
  }
}
