/**
 * Random chains and control messages against both consoles. The oracle, a model over a copy of guest memory: what the host reads is
 * the readable bytes in order, what the guest gets is what the host wrote, in order, every chain comes back once with the right
 * length, and no other byte of memory changes.
 */

import { assert, assertEquals } from "@std/assert";
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from "../../src/abi/virtio.ts";
import {
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_PORT_OPEN,
} from "../../src/abi/virtio_devices.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { Console, consoleSpec } from "../../src/virtio/console.ts";
import { controlBytes } from "../../src/virtio/console_control.ts";
import { ConsolePorts, consolePortsSpec } from "../../src/virtio/console_ports.ts";
import { ChainAttack, fill, readableBytes, roomIn, settle } from "../support/chain_attack.ts";
import { GuestArena, TEST_REGIONS } from "../support/driver.ts";
import { Fifo } from "../support/fifo.ts";
import { fuzz, type Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";
import type { ModelBuffer } from "../support/ring_model.ts";
import { type BenchParts, VirtioBench } from "../support/virtio_bench.ts";

const REGION_SIZE = 0x4000;
const CONTROL_TRANSMIT = 3;

Deno.test("Console carries what its model does, whatever the chains", requirement("ffi"), () => {
  using attack = new Attack({
    spec: consoleSpec({ columns: 80, rows: 24 }),
    device: (context) => new Console(context),
    mostRead: 4096,
  });
  fuzz((random) => attack.round(random, false), { rounds: 200 });
  assert(attack.carried > 0, "bytes went both ways");
});

Deno.test(
  "ConsolePorts carries what its model does, whatever the chains and messages",
  requirement("ffi"),
  () => {
    using attack = new Attack({
      spec: consolePortsSpec(1),
      device: (context) => new ConsolePorts(context),
      options: { ports: [{ name: "a", input: "input", output: "output", control: false }] },
      mostRead: 65536,
    });
    fuzz((random) => attack.round(random, true), { rounds: 200 });
    assert(attack.carried > 0, "bytes went both ways");
  },
);

/** A console under attack, with the host's ends of its streams. */
class Attack implements Disposable {
  /** The smaller of the counts of bytes in and out. */
  get carried(): number {
    return Math.min(this.#taken, this.#sent);
  }
  readonly #stack = new DisposableStack();
  readonly #input: Fifo;
  readonly #output: Fifo;
  readonly #bench: VirtioBench;
  readonly #mostRead: number;
  /** The model: bytes that the device has not read yet, bytes that the host is to read, and whether the guest has it open. */
  #pending = new Uint8Array();
  #outgoing: number[] = [];
  #open = true;
  #taken = 0;
  #sent = 0;

  constructor(
    parts: Pick<BenchParts, "spec" | "device" | "options"> & { readonly mostRead: number },
  ) {
    this.#input = this.#stack.use(new Fifo());
    this.#output = this.#stack.use(new Fifo());
    this.#mostRead = parts.mostRead;
    const fds = { input: this.#input.reader.number, output: this.#output.writer.number };
    const memory = GuestMemory.onBuffers(
      TEST_REGIONS.map((guestAddress) => ({ guestAddress, buffer: new ArrayBuffer(REGION_SIZE) })),
    );
    this.#bench = this.#stack.use(VirtioBench.open({ ...parts, fds, memory }));
  }

  /** A driver's life. */
  round(random: Random, ports: boolean): void {
    const bench = this.#bench;
    const { driver } = bench;
    driver.status = 0;
    bench.memory.write(TEST_REGIONS[2], new Uint8Array(REGION_SIZE));
    driver.arena = new GuestArena(TEST_REGIONS[2] + 16, REGION_SIZE - 16);
    const multiport = ports && random.chance(0.8);
    const ours = [VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX].filter(() =>
      random.chance(0.7)
    );
    bench.initialize({ features: multiport ? [VIRTIO_CONSOLE_F_MULTIPORT, ...ours] : ours });
    this.#open = !multiport;
    const receive = new ChainAttack(bench, 0, {
      takes: () => this.#open,
      serve: (...chain) => this.#receive(...chain),
    });
    const transmit = new ChainAttack(bench, 1, { serve: (...chain) => this.#transmit(...chain) });
    const control = multiport
      ? new ChainAttack(bench, CONTROL_TRANSMIT, { serve: (...chain) => this.#control(...chain) })
      : undefined;
    for (let step = random.between(1, 8); step > 0; step--) {
      for (let i = random.below(4); i > 0; i--) receive.offer(random, "writable");
      if (random.chance(0.6)) this.#type(random);
      settle(bench, [receive]);
      for (let i = random.below(4); i > 0; i--) transmit.offer(random, "readable");
      settle(bench, [transmit], () => this.#read());
      if (control === undefined) continue;
      control.offer(random, random.chance(0.3) ? "any" : message(random));
      // What a message opens is read from at once.
      settle(bench, [control, receive]);
    }
  }

  /** The host writes. */
  #type(random: Random): void {
    const bytes = random.bytes(random.pick([1, 5, 100, 2000, 5000]));
    const count = this.#input.put(bytes);
    this.#pending = Uint8Array.of(...this.#pending, ...bytes.subarray(0, count));
  }

  /** The host reads all there is. */
  #read(): void {
    const bytes: number[] = [];
    for (let part = this.#output.take(); part.length > 0; part = this.#output.take()) {
      bytes.push(...part);
      this.#bench.turn();
    }
    assertEquals(bytes, this.#outgoing.splice(0));
    this.#sent += bytes.length;
  }

  #receive(buffers: readonly ModelBuffer[], memory: GuestMemory): number | undefined {
    const room = roomIn(buffers);
    if (room === 0) return 0;
    const bytes = this.#pending.slice(0, Math.min(room, this.#mostRead));
    if (bytes.length === 0) return undefined;
    this.#pending = this.#pending.slice(bytes.length);
    this.#taken += bytes.length;
    fill(buffers, memory, bytes);
    return bytes.length;
  }

  #transmit(buffers: readonly ModelBuffer[], memory: GuestMemory): number {
    this.#outgoing.push(...readableBytes(buffers, memory));
    return 0;
  }

  #control(buffers: readonly ModelBuffer[], memory: GuestMemory): number {
    const bytes = readableBytes(buffers, memory);
    if (bytes.length < 8) return 0;
    const view = new DataView(bytes.buffer);
    if (view.getUint32(0, true) === 0 && view.getUint16(4, true) === VIRTIO_CONSOLE_PORT_OPEN) {
      this.#open = view.getUint16(6, true) === 1;
    }
    return 0;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** A control message, mostly that the port was opened or closed. */
function message(random: Random): Uint8Array<ArrayBuffer> {
  return controlBytes({
    id: random.chance(0.9) ? 0 : random.hostile32(),
    event: random.chance(0.7) ? VIRTIO_CONSOLE_PORT_OPEN : random.below(10),
    value: random.chance(0.9) ? random.below(2) : random.below(0x1_0000),
  });
}
