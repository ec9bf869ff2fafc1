/**
 * The terminal: a virtio console of one port, without MULTIPORT (virtio 1.3 §5.3), its size in configuration space.
 *
 * Linux spins with interrupts off until a buffer that it has sent comes back, so output never waits for the host: it goes into
 * a bounded ring, and what does not fit while nobody reads is dropped and counted. Input waits: it is read from the host only
 * while the guest has buffers for it. Keys do not: Ctrl-A is ours also before there is a driver and when the guest hangs, so with
 * an escape key input is always read, kept in a ring, and dropped where that is full. A socket's clients are read ahead as far as the
 * ring has room, so that it shows when one is gone.
 *
 * @module
 */

import { EAGAIN, EINTR } from "../abi/linux.ts";
import {
  VIRTIO_CONSOLE_F_SIZE,
  VIRTIO_ID_CONSOLE,
  VirtioConsoleConfig,
} from "../abi/virtio_devices.ts";
import { errnoText } from "../base/errors.ts";
import { sizeof } from "../base/struct.ts";
import { TERMINAL_HELP, type TerminalCommand, TerminalEscape } from "../devices/terminal_escape.ts";
import { CharacterBackend } from "../host/character_backend.ts";
import type { TerminalSize } from "../host/tty.ts";
import { ByteRing } from "./byte_ring.ts";
import { DescriptorChain } from "./descriptor_chain.ts";
import type { VirtioContext, VirtioDevice } from "./virtio_device.ts";
import type { VirtioSpec } from "./virtio_spec.ts";
import type { Virtqueue } from "./virtqueue.ts";

const QUEUE_SIZE = 64;
const RECEIVE = 0;
const TRANSMIT = 1;

/** Bytes of output that wait for the host at most. */
export const CONSOLE_RING_SIZE: number = 2 ** 20;

/** Bytes of output that are kept for the next client while there is none: the newest. */
export const CONSOLE_KEPT_SIZE: number = 2 ** 16;

/** Keys that wait for the guest at most. */
const KEYS_SIZE = 2 ** 16;

/** Most bytes read from the host at once: a page, which is what Linux offers in a buffer. */
const READ_SIZE = 4096;

/** Two queues, and a configuration space that holds the terminal's size. */
export function consoleSpec(size: TerminalSize): VirtioSpec {
  const config = new Uint8Array(sizeof(VirtioConsoleConfig));
  config.set(consoleSizeBytes(size), VirtioConsoleConfig.cols);
  return {
    deviceId: VIRTIO_ID_CONSOLE,
    features: [VIRTIO_CONSOLE_F_SIZE],
    queueSizes: [QUEUE_SIZE, QUEUE_SIZE],
    config,
  };
}

/** The size as configuration bytes, from `VirtioConsoleConfig.cols` on; what is below 0 or above 65535 counts as that. */
export function consoleSizeBytes(size: TerminalSize): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, clamp(size.columns), true);
  view.setUint16(2, clamp(size.rows), true);
  return bytes;
}

/**
 * The terminal's device. Descriptors: `input` and `output`, both borrowed, either may be absent, or instead of them `listener`, a
 * socket whose clients are served one after another. Options: `escape`, whether Ctrl-A is a prefix; Ctrl-A x then posts
 * `{ key: "quit" }`.
 */
export class Console implements VirtioDevice {
  /** Bytes of output that were thrown away since nobody read. */
  dropped = 0;
  readonly #context: VirtioContext;
  readonly #chain: DescriptorChain;
  readonly #ring = new ByteRing(CONSOLE_RING_SIZE);
  readonly #bytes = new Uint8Array(READ_SIZE);
  readonly #escape: TerminalEscape | undefined;
  /** Keys for the guest; used where input is read ahead. */
  readonly #keys = new ByteRing(KEYS_SIZE);
  readonly #host: CharacterBackend;
  /** Input is read before the guest has buffers for it. */
  readonly #readsAhead: boolean;
  #sizeTold = false;

  /**
   * A terminal on the host's descriptors.
   *
   * @param context of its back
   */
  constructor(context: VirtioContext) {
    this.#context = context;
    this.#chain = new DescriptorChain(context.memory, QUEUE_SIZE);
    const { fds, options } = context.descriptor;
    this.#host = new CharacterBackend(context.loop, {
      readable: () => this.#inputReady(),
      writable: () => this.#flush(),
      connected: () => this.#clientConnected(),
      warn: (message) => context.warn(message),
    });
    this.#host.input.open(fds["input"]);
    this.#host.output.open(fds["output"]);
    this.#host.listen(fds["listener"]);
    this.#readsAhead = options["escape"] === true || this.#host.listens;
    if (options["escape"] === true) {
      this.#escape = new TerminalEscape((command) => this.#command(command));
      this.#host.input.wait(true);
    }
  }

  /** Takes all output, or as much input as the host has and the guest can take. */
  processQueue(index: number, queue: Virtqueue): void {
    if (index === TRANSMIT) this.#transmit(queue);
    else if (index === RECEIVE) this.#receive(queue);
  }

  /** Stops reading for the guest. Output that waits is in our own ring, and goes on. */
  drain(): void {
    this.#leaveInput();
  }

  /** Whether output waits for the host to take it: what a guest has said last is worth a moment's patience. */
  pending(): boolean {
    this.#context.process(TRANSMIT);
    return this.#host.output.isOpen && this.#ring.length > 0;
  }

  /** Writes out what it can without waiting, and lets go of its streams. */
  close(): void {
    this.#flush();
    this.#host.close();
  }

  /** Another driver is to be told the size anew. */
  reset(): void {
    this.#sizeTold = false;
  }

  #transmit(queue: Virtqueue): void {
    while (queue.pop(this.#chain)) {
      if (!this.#sizeTold) this.#tellSize();
      if (this.#host.output.isOpen) this.#keep();
      else if (this.#host.listens) this.#keepNewest();
      queue.pushUsed(this.#chain.head, 0);
    }
    if (!this.#host.output.waits) this.#flush();
  }

  /**
   * Linux reads a console's size after a change of configuration alone, never at the start, and not before its terminal is
   * there, which its first output shows.
   */
  #tellSize(): void {
    this.#sizeTold = true;
    this.#context.changeConfig(VirtioConsoleConfig.cols, new Uint8Array());
  }

  /** Copies the chain's bytes into the ring, and counts those that do not fit. */
  #keep(): void {
    const length = this.#chain.readableLength;
    if (length > this.#ring.free) this.#flush();
    let done = 0;
    while (done < length && this.#ring.free > 0) {
      const room = this.#ring.room(length - done);
      this.#chain.read(done, room);
      this.#ring.commit(room.length);
      done += room.length;
    }
    if (done === length) return;
    this.dropped += length - done;
    this.#context.warn(`Dropped ${this.dropped} bytes of output so far: nobody reads it`);
  }

  /** What nobody is there for is kept in place of what was before it. */
  #keepNewest(): void {
    const over = this.#ring.length + this.#chain.readableLength - CONSOLE_KEPT_SIZE;
    if (over > 0) this.#ring.drop(Math.min(over, this.#ring.length));
    this.#keep();
  }

  #clientConnected(): void {
    this.#flush();
    this.#host.input.wait(true);
  }

  #flush(): void {
    while (this.#host.output.isOpen && this.#ring.length > 0) {
      const result = this.#host.output.write(this.#ring.peek(CONSOLE_RING_SIZE));
      if (result === -EAGAIN) return this.#host.output.wait(true);
      if (result >= 0) this.#ring.drop(result);
      else if (result !== -EINTR) this.#loseOutput(result);
    }
    this.#host.output.wait(false);
  }

  #loseOutput(result: number): void {
    if (this.#host.loseOutput()) return;
    this.#ring.clear();
    this.#context.warn(`Cannot write output any more, it is dropped: ${errnoText(-result)}`);
  }

  #receive(queue: Virtqueue): void {
    while (this.#host.input.isOpen || this.#keys.length > 0) {
      // No buffer: the driver notifies when it has one.
      if (!queue.pop(this.#chain)) return this.#leaveInput();
      const count = this.#read(this.#chain.writableLength);
      if (count > 0) {
        const bytes = this.#bytes.subarray(0, count);
        queue.pushUsed(this.#chain.head, this.#chain.write(0, bytes));
      } else if (this.#chain.writableLength === 0) queue.pushUsed(this.#chain.head, 0);
      else {
        queue.undoPop();
        if (count < 0) return this.#host.input.wait(true);
      }
    }
  }

  /** Reads at most `limit` bytes for the guest: 0 where there was an end, -1 where none has come. */
  #read(limit: number): number {
    if (limit === 0) return 0;
    const bytes = limit < READ_SIZE ? this.#bytes.subarray(0, limit) : this.#bytes;
    return this.#readsAhead ? this.#takeKeys(bytes) : this.#readInput(bytes);
  }

  #readInput(bytes: Uint8Array<ArrayBuffer>): number {
    if (!this.#host.input.isOpen) return 0;
    const result = this.#host.input.read(bytes);
    if (result === -EAGAIN) return -1;
    if (result === -EINTR) return 0;
    // A terminal that has hung up gives EIO; whatever it is, there is nothing more to come.
    if (result <= 0) this.#host.endInput();
    return Math.max(0, result);
  }

  #takeKeys(bytes: Uint8Array<ArrayBuffer>): number {
    const keys = this.#keys.peek(bytes.length);
    if (keys.length === 0) return -1;
    bytes.set(keys);
    this.#keys.drop(keys.length);
    this.#host.input.wait(true);
    return keys.length;
  }

  /** Sorts what was typed into commands for us and keys for the guest. */
  #sortKeys(): void {
    const room = this.#escape === undefined ? Math.min(this.#keys.free, READ_SIZE) : READ_SIZE;
    // The rest is for when the guest has taken some.
    if (room === 0) return this.#host.input.wait(false);
    const count = this.#readInput(this.#bytes.subarray(0, room));
    if (count <= 0) return;
    const kept = this.#escape?.filter(this.#bytes, count) ?? count;
    this.#keys.push(this.#bytes.subarray(0, kept));
    this.#context.process(RECEIVE);
  }

  #command(command: TerminalCommand): void {
    switch (command) {
      case "quit":
        return this.#context.post({ key: "quit" });
      case "help":
        this.#ring.push(new TextEncoder().encode(TERMINAL_HELP));
        return this.#flush();
      default:
        command satisfies never;
    }
  }

  /** Leaves input with the host, unless some of it may be for us. */
  #leaveInput(): void {
    if (!this.#readsAhead) this.#host.input.wait(false);
  }

  #inputReady(): void {
    if (this.#readsAhead) this.#sortKeys();
    else this.#context.process(RECEIVE);
  }
}

function clamp(characters: number): number {
  return Math.min(Math.max(Math.trunc(characters), 0), 0xffff);
}
