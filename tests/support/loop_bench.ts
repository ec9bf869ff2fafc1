/**
 * The vCPU's loop on the bench: the real loop over a board with real devices, in the caller's own isolate.
 *
 * @module
 */

import { DECODE_TABLE_SIZE, DecodeTable } from "../../src/bus/decode_table.ts";
import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import { uart16550 } from "../../src/devices/uart16550_plan.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { Board } from "../../src/vcpu/board.ts";
import { CoalescedWrites } from "../../src/vcpu/coalesced_writes.ts";
import { VCPU_CONTROL_SIZE, VcpuControl } from "../../src/vcpu/control.ts";
import { type LoopEnd, runVcpu } from "../../src/vcpu/loop.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { VirtioState } from "../../src/virtio/virtio_state.ts";
import { descriptorOf } from "./descriptor.ts";
import { BareGuest } from "./bare_guest.ts";
import { Assembler } from "./tiny_guest.ts";

/** What guests write where nothing else is asked for. */
const VALUE = 0xffffffff;
const WINDOW = 0xd0000000;
/** Where a device ends the loop. */
const EXIT_PORT = 0xf4;
/** A register of the 16550 and two of virtio-mmio that keep or give a value and do nothing else. */
const SCRATCH_PORT = 0x3ff;
const MAGIC = WINDOW;
const FEATURES_SELECT = WINDOW + 0x14;

/** Exits of each turn of the guests below. */
export const EXITS_A_TURN = 2;

/** A guest that makes exits of one kind in a loop of so many turns, writing a value. */
export type ExitGuest = (turns: number, value?: number) => Assembler;

/** Guests by what they do, with high addresses and values where nothing else is asked for, so that boxing shows. */
export const EXIT_GUESTS: Readonly<Record<string, ExitGuest>> = {
  "port, 1 byte": (turns, value = VALUE) =>
    repeated(turns, value, (code) => code.out(SCRATCH_PORT).in(SCRATCH_PORT)),
  "memory, 4 bytes": (turns, value = VALUE) =>
    repeated(turns, value, (code) => code.store(FEATURES_SELECT).load(MAGIC).eax(value)),
};

function repeated(
  turns: number,
  value: number,
  body: (code: Assembler) => Assembler,
): Assembler {
  const code = new Assembler().eax(value).ecx(turns).label("again");
  return body(code).loop("again").out(EXIT_PORT).halt();
}

/** One vCPU, its board and its loop. */
export class LoopBench implements Disposable {
  readonly #guest: BareGuest;
  readonly #registers;
  readonly #special;
  readonly #board: Board;
  readonly #control: VcpuControl;
  readonly #coalesced: CoalescedWrites | undefined;
  /** What ends the loop, once a device has asked for it. */
  #end: LoopEnd | undefined;
  readonly #ended = () => this.#end;

  /** @param code that ends at the debug-exit port */
  constructor(code: Assembler) {
    this.#guest = new BareGuest(code);
    this.#registers = this.#guest.vcpu.registers();
    this.#special = this.#guest.vcpu.specialRegisters();
    const state = SharedState.create(2 ** 20);
    const table = state.allocate(DECODE_TABLE_SIZE, "decode table");
    this.#control = new VcpuControl(state, state.allocate(VCPU_CONTROL_SIZE, "vCPU 0"));
    new DecodeTable(state, table).write([serial(state), entropy(state), EXIT]);
    this.#board = new Board(state, table, this.#control, {
      mark: () => {},
      end: () => {
        this.#end = { cause: "debug-exit", detail: 0, text: "" };
      },
      warn: (device, message) => {
        throw new Error(`${device}: ${message}`);
      },
    });
    this.#coalesced = this.#coalescedBy(state);
  }

  #coalescedBy(state: SharedState): CoalescedWrites | undefined {
    const ring = this.#guest.vcpu.coalesced;
    const lock = state.lock(state.allocate(4, "coalesced writes"));
    return ring === undefined ? undefined : new CoalescedWrites(ring, lock, this.#board);
  }

  /** Nanoseconds of one run to its end. */
  round(): number {
    const { vcpu } = this.#guest;
    vcpu.setSpecialRegisters(this.#special);
    vcpu.setRegisters(this.#registers);
    this.#end = undefined;
    const before = performance.now();
    const end = runVcpu({
      vcpu,
      board: this.#board,
      control: this.#control,
      coalesced: this.#coalesced,
      ended: this.#ended,
    });
    const after = performance.now();
    if (end?.cause !== "debug-exit") throw new Error(`The guest ended with ${end?.text}`);
    return (after - before) * 1e6;
  }

  /** Bytes of heap that a run to its end allocates; the least of some runs, since collections and the compiler disturb. */
  allocated(): number {
    const used = Array.from({ length: 6 }, () => {
      const before = Deno.memoryUsage().heapUsed;
      this.round();
      return Deno.memoryUsage().heapUsed - before;
    });
    return Math.min(...used.filter((bytes) => bytes >= 0));
  }

  [Symbol.dispose](): void {
    this.#guest[Symbol.dispose]();
  }
}

/** The debug-exit port. */
const EXIT = descriptorOf({
  kind: "debug-exit",
  id: "exit0",
  windows: [{ bus: "port", base: EXIT_PORT, size: 4 }],
});

function serial(state: SharedState): DeviceDescriptor {
  const plan = uart16550({ id: "serial0", port: 0x3f8, gsi: 4, input: -1, output: -1 });
  return descriptorOf({
    kind: plan.kind,
    id: plan.id,
    windows: [{ bus: "port", base: 0x3f8, size: 8 }],
    state: plan.createState?.(state) ?? -1,
    options: plan.options ?? {},
  });
}

function entropy(state: SharedState): DeviceDescriptor {
  return descriptorOf({
    kind: "virtio-mmio",
    id: "rng0",
    windows: [{ bus: "memory", base: WINDOW, size: 0x1000 }],
    state: VirtioState.create(state, RNG_SPEC, "rng0").offset,
  });
}
