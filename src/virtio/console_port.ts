/**
 * One port of a console with ports: bytes both ways between a pair of queues and the host's streams, all of them, pushing back
 * in both directions.
 *
 * @module
 */

import { EAGAIN, EINTR, EPIPE, EPOLLIN, EPOLLOUT } from "../abi/linux.ts";
import { concat, viewOf } from "../base/bytes.ts";
import { errnoText } from "../base/errors.ts";
import { LoopStream } from "../host/loop_stream.ts";
import { PortNews } from "./console_control.ts";
import { DescriptorChain } from "./descriptor_chain.ts";
import type { LineSplitter } from "./line_splitter.ts";
import { salvage } from "./salvage.ts";
import type { VirtioContext } from "./virtio_device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Most entries of a port's queues. */
export const PORT_QUEUE_SIZE = 64;

/** Bytes moved by one call. */
const CHUNK = 65536;

/**
 * Most bytes of output that one round moves. A chain may name the same memory again and again, up to 4 GiB, and may not keep
 * the worker from its other devices for as long as that takes.
 */
const ROUND_BYTES: number = 2 ** 20;

/** Most bytes that resets take out of a guest's queue to be written later. */
const SALVAGE_LIMIT: number = 8 * 2 ** 20;

const NOTHING = new Uint8Array();

/** What a port is made of. */
export interface PortParts {
  /** The port's number, from 0. */
  readonly id: number;
  /** What the guest finds it by. */
  readonly name: string;
  /** Descriptor that the guest's input comes from, borrowed. */
  readonly input: number | undefined;
  /** Descriptor that the guest's output goes to, borrowed. */
  readonly output: number | undefined;
  /** Takes the guest's output instead. */
  readonly lines: LineSplitter | undefined;
  /** Index of the queue whose buffers input goes to. */
  readonly receive: number;
  /** Index of the queue that output comes from. */
  readonly transmit: number;
  /** Called when there is news for the driver. */
  readonly onNews: () => void;
}

/** A port. */
export class ConsolePort {
  /** What the driver is still to be told. */
  readonly news: PortNews;
  readonly #context: VirtioContext;
  readonly #parts: PortParts;
  readonly #chain: DescriptorChain;
  readonly #bytes = new Uint8Array(CHUNK);
  /** The front of {@linkcode ConsolePort.#bytes}, as long as the guest's buffers usually are. */
  #view = this.#bytes;
  readonly #input: LoopStream;
  readonly #output: LoopStream;
  readonly #inputOnly: boolean;
  /** The output failed: the port does not come back. */
  #removed = false;
  /** A process in the guest has it open; what is sent to a closed port is thrown away by Linux. */
  #guestOpen = false;
  /** Bytes of the next chain of output that are written already. */
  #written = 0;
  /** Bytes of output that this round may still move. */
  #left = 0;
  /** Output from before a reset. */
  #salvaged = NOTHING;

  /**
   * A port that no driver knows yet.
   *
   * @param context of the device's back
   */
  constructor(context: VirtioContext, parts: PortParts) {
    this.#context = context;
    this.#parts = parts;
    this.#chain = new DescriptorChain(context.memory, PORT_QUEUE_SIZE);
    this.#input = new LoopStream(context.loop, EPOLLIN, () => context.process(parts.receive));
    this.#output = new LoopStream(context.loop, EPOLLOUT, () => this.#goOn());
    this.#input.open(parts.input);
    this.#output.open(parts.output);
    this.#inputOnly = this.#input.isOpen && !this.#output.isOpen && parts.lines === undefined;
    this.news = new PortNews(parts.id, parts.name);
  }

  /** The driver is ready to hear of ports. */
  add(): void {
    if (!this.#removed) this.news.add();
  }

  /** The driver has set the port up. */
  ready(): void {
    this.news.open(!this.#ended);
    this.news.announceName();
  }

  /** A process in the guest has opened or closed the port. */
  setGuestOpen(open: boolean): void {
    this.#guestOpen = open;
    if (open) this.#context.process(this.#parts.receive);
    else this.#input.wait(false);
  }

  /** Writes the guest's output as far as the host takes it; the rest stays in the queue. */
  transmit(queue: Virtqueue): void {
    if (!this.#writeSalvaged()) return;
    // Lines cost more than bytes.
    this.#left = this.#parts.lines ? CHUNK : ROUND_BYTES;
    while (queue.pop(this.#chain)) {
      if (!this.#take(this.#chain)) {
        queue.undoPop();
        if (this.#left > 0) return this.#output.wait(true);
        queue.endRound();
        break;
      }
      this.#written = 0;
      queue.pushUsed(this.#chain.head, 0);
    }
    this.#output.wait(false);
  }

  /** Reads what the host has into the buffers that the guest offers. */
  receive(queue: Virtqueue): void {
    while (this.#input.isOpen && this.#guestOpen) {
      // No buffer: the driver notifies when it has one.
      if (!queue.pop(this.#chain)) return this.#input.wait(false);
      const room = this.#chain.writableLength;
      const count = room === 0 ? 0 : this.#input.read(this.#viewOf(room));
      if (count > 0 || room === 0) {
        this.#chain.write(0, this.#view.subarray(0, count));
        queue.pushUsed(this.#chain.head, count);
        continue;
      }
      queue.undoPop();
      if (count === -EAGAIN) return this.#input.wait(true);
      if (count !== -EINTR) this.#endInput();
    }
  }

  /** Whether output waits for the host to take it. */
  pending(): boolean {
    this.#context.process(this.#parts.transmit);
    const exhausted = this.#context.queue(this.#parts.transmit)?.exhausted ?? false;
    return this.#output.isOpen && (this.#output.waits || exhausted);
  }

  /** Touches no guest memory until the queues are processed again. */
  drain(): void {
    this.#input.wait(false);
    this.#output.wait(this.#salvaged.length > 0);
  }

  /**
   * The driver is gone. What it had sent is kept, up to {@linkcode SALVAGE_LIMIT} however often it goes: newer kernels reset
   * their devices when they power off, and the last output of a guest is the one that counts.
   */
  reset(): void {
    this.#salvage();
    this.news.clear();
    this.#guestOpen = false;
    this.#written = 0;
    this.#parts.lines?.clear();
    this.#output.wait(this.#salvaged.length > 0);
  }

  /** Writes out what it can without waiting, and lets go of its streams. */
  close(): void {
    this.#salvage();
    this.#writeSalvaged();
    const lost = this.#salvaged.length;
    if (lost > 0) this.#warn(`${lost} bytes of output are lost: nobody read them in time`);
    this.#input.close();
    this.#output.close();
  }

  /** What a snapshot needs beside the queues: 12 bytes and the output from before a reset. */
  save(): Uint8Array<ArrayBuffer> {
    const saved = new Uint8Array(12 + this.#salvaged.length);
    const view = new DataView(saved.buffer);
    view.setUint32(0, this.news.save() * 2 + (this.#guestOpen ? 1 : 0), true);
    view.setUint32(4, this.#written, true);
    view.setUint32(8, this.#salvaged.length, true);
    saved.set(this.#salvaged, 12);
    return saved;
  }

  /** Takes back what {@linkcode ConsolePort.save} gave, from the front of `saved`; gives how many bytes that were. */
  restore(saved: Uint8Array): number {
    const view = viewOf(saved);
    const state = view.getUint32(0, true);
    this.news.restore(Math.trunc(state / 2));
    this.#guestOpen = state % 2 === 1;
    this.#written = view.getUint32(4, true);
    const end = 12 + view.getUint32(8, true);
    this.#salvaged = Uint8Array.from(saved.subarray(12, end));
    return end;
  }

  /**
   * Whether the guest is to find an end of file. Linux takes a port whose host end is closed for one that can't be written
   * either, and lets writers wait: a port that has an output stays open when its input has ended.
   */
  get #ended(): boolean {
    return this.#inputOnly && !this.#input.isOpen;
  }

  /** Takes the chain's output from where it was left; false where the host takes no more, or the round has no bytes left. */
  #take(chain: DescriptorChain): boolean {
    while (this.#written < chain.readableLength) {
      if (this.#left <= 0) return false;
      const count = chain.read(this.#written, this.#bytes);
      const taken = this.#parts.lines ? this.#split(count) : this.#write(this.#bytes, count);
      if (taken < 0) return false;
      this.#written += taken;
      this.#left -= taken;
    }
    return true;
  }

  #split(count: number): number {
    this.#parts.lines?.push(this.#bytes.subarray(0, count));
    return count;
  }

  /** Writes bytes: how many were taken, or -1 where the host takes no more. Without an output all are thrown away. */
  #write(bytes: Uint8Array<ArrayBuffer>, count: number): number {
    while (this.#output.isOpen) {
      const result = this.#output.write(bytes, count);
      if (result >= 0) return result;
      if (result === -EAGAIN) return -1;
      if (result !== -EINTR) this.#loseOutput(result);
    }
    return count;
  }

  /**
   * Nobody takes the output any more (`| head`): the port goes away, so that whoever writes to it in the guest gets an error,
   * as a local process would. A closed port would make Linux' writers wait for ever, and thrown-away output never ends.
   */
  #loseOutput(result: number): void {
    this.#output.close();
    this.#salvaged = NOTHING;
    this.#removed = true;
    this.news.remove();
    this.#parts.onNews();
    // A reader that has seen enough is no fault of anybody.
    if (result === -EPIPE) return;
    const lost = errnoText(-result);
    this.#warn(`Cannot write output any more, the port is removed: ${lost}`);
    this.#context.post({ port: this.#parts.name, lost });
  }

  /** All data before the end is shown to the driver before it hears of the end. */
  #endInput(): void {
    this.#input.close();
    if (!this.#ended) return;
    this.#context.complete(this.#parts.receive);
    this.news.open(false);
    this.#parts.onNews();
  }

  #salvage(): void {
    const queue = this.#context.queue(this.#parts.transmit);
    if (queue === undefined || !this.#output.isOpen) return;
    const room = SALVAGE_LIMIT - this.#salvaged.length;
    const rest = salvage(queue, this.#chain, this.#written, room);
    this.#salvaged = concat([this.#salvaged, rest]);
    this.#written = 0;
  }

  /** Writes what a reset has left; false where the host takes no more. */
  #writeSalvaged(): boolean {
    while (this.#salvaged.length > 0) {
      const taken = this.#write(this.#salvaged, this.#salvaged.length);
      if (taken < 0) {
        this.#output.wait(true);
        return false;
      }
      this.#salvaged = this.#salvaged.subarray(taken);
    }
    this.#salvaged = NOTHING;
    return true;
  }

  #viewOf(room: number): Uint8Array<ArrayBuffer> {
    const length = Math.min(room, CHUNK);
    if (this.#view.length !== length) this.#view = this.#bytes.subarray(0, length);
    return this.#view;
  }

  #goOn(): void {
    if (!this.#writeSalvaged()) return;
    this.#output.wait(false);
    this.#context.process(this.#parts.transmit);
  }

  #warn(message: string): void {
    this.#context.warn(`Port ${this.#parts.name}: ${message}`);
  }
}
