/**
 * On a host of one processor the start of an I/O worker takes its time from the guest, which needs none before it drives its first
 * device: there the workers start with their first work.
 *
 * @module
 */

import { Pollfd, POLLIN } from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { EventFd } from "../host/fd.ts";
import { poll, pollAside } from "../host/file.ts";

/** Roles of descriptors that a back uses when it has work, and that bring none. */
const PASSIVE: readonly string[] = ["image", "direct", "source", "output"];

/** The wait occupies a thread of Deno's pool, so one machine of a process has it. */
let taken = false;

/** Waits until devices have work: a notification of the guest, or input from the host. */
export class FirstWork implements Disposable {
  readonly #wake = EventFd.create();
  readonly #list: Uint8Array<ArrayBuffer>;
  readonly #count: number;

  private constructor(devices: readonly DeviceDescriptor[]) {
    taken = true;
    const fds = devices.flatMap(workDescriptors);
    this.#count = fds.length;
    this.#list = pollList([...fds, this.#wake.number]);
  }

  /**
   * What waits for the devices' first work; undefined where the workers may as well start now.
   *
   * @param processors of the host
   */
  static of(
    devices: readonly DeviceDescriptor[],
    processors = navigator.hardwareConcurrency,
  ): FirstWork | undefined {
    return processors > 1 || taken ? undefined : new FirstWork(devices);
  }

  /** Whether there is work: settles with the first, or with {@linkcode FirstWork.hasten}. */
  async come(): Promise<boolean> {
    await pollAside(this.#list, this.#count + 1);
    return poll(this.#list, this.#count, 0) > 0;
  }

  /** Ends the wait. */
  hasten(): void {
    this.#wake.signal();
  }

  /** Closes its event, once nobody waits any more. */
  [Symbol.dispose](): void {
    taken = false;
    this.#wake[Symbol.dispose]();
  }
}

function workDescriptors({ worker, fds }: DeviceDescriptor): number[] {
  if (worker < 0) return [];
  return Object.entries(fds).filter(([role]) => !PASSIVE.includes(role)).map(([, fd]) => fd);
}

function pollList(fds: readonly number[]): Uint8Array<ArrayBuffer> {
  const list = new Uint8Array(fds.length * sizeof(Pollfd));
  const view = new DataView(list.buffer);
  for (const [index, fd] of fds.entries()) {
    view.setInt32(index * sizeof(Pollfd) + Pollfd.fd, fd, true);
    view.setInt16(index * sizeof(Pollfd) + Pollfd.events, POLLIN, true);
  }
  return list;
}
