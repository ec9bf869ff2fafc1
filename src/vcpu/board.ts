/**
 * The board: both buses with every device's front, as one vCPU worker sees them. It is rebuilt from the decode table when that
 * has changed.
 *
 * @module
 */

import { RateLimit } from "../base/rate_limit.ts";
import { VireoError } from "../base/errors.ts";
import { Bus } from "../bus/bus.ts";
import type { BusDevice } from "../bus/bus_device.ts";
import { DecodeTable } from "../bus/decode_table.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import { EdgeIrq, type IrqLine, NO_IRQ } from "../bus/irq_line.ts";
import { DeviceModules, MODULE_KIND } from "../devices/device_modules.ts";
import type { FrontContext, FrontFactory, FrontRequest } from "../devices/front.ts";
import { FRONTS as CHIP_FRONTS } from "../devices/fronts.ts";
import { EventFd } from "../host/fd.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { FRONTS as VIRTIO_FRONTS } from "../virtio/fronts.ts";
import type { VcpuControl } from "./control.ts";

const FACTORIES: Readonly<Record<string, FrontFactory>> = { ...CHIP_FRONTS, ...VIRTIO_FRONTS };

/** What the board tells the loop and the owner. */
export interface BoardOwner {
  /** A device asks for the machine's end, or for its owner's turn. */
  end(request: FrontRequest, detail: number): void;
  /** A guest did something wrong. */
  warn(device: string, message: string): void;
  /** The machine's start has got somewhere. */
  mark(code: number): void;
}

interface Installed {
  /** The descriptor's JSON: a device whose descriptor has not changed keeps its front. */
  readonly text: string;
  readonly front: BusDevice;
}

/** Both buses of one isolate. */
export class Board implements FrontContext {
  /** I/O ports. */
  ports: Bus = new Bus();
  /** Guest physical memory that is not RAM. */
  memory: Bus = new Bus();
  readonly state: SharedState;
  readonly #table: DecodeTable;
  readonly #control: VcpuControl;
  readonly #owner: BoardOwner;
  readonly #modules: DeviceModules;
  readonly #warnings = new RateLimit(10, 1);
  #installed: ReadonlyMap<string, Installed> = new Map();
  #generation = -1;

  /**
   * @param state the machine's shared state
   * @param table offset of the decode table
   * @param control of the vCPU that this board belongs to
   * @param owner whom to tell
   * @param modules make the fronts that are a program's own
   */
  constructor(
    state: SharedState,
    table: number,
    control: VcpuControl,
    owner: BoardOwner,
    modules: DeviceModules = DeviceModules.none,
  ) {
    this.state = state;
    this.#table = new DecodeTable(state, table);
    this.#control = control;
    this.#owner = owner;
    this.#modules = modules;
    this.refresh();
  }

  /** Whether the decode table has changed since the last {@linkcode Board.refresh}: one load, for every exit. */
  get stale(): boolean {
    return this.#table.generation !== this.#generation;
  }

  /** Rebuilds both buses from the decode table and says which generation they are of. */
  refresh(): void {
    const { generation, devices } = this.#table.read();
    const installed = new Map<string, Installed>();
    const ports = new Bus();
    const memory = new Bus();
    for (const descriptor of devices) {
      const entry = this.#install(descriptor);
      installed.set(descriptor.id, entry);
      for (const window of descriptor.windows) {
        (window.bus === "port" ? ports : memory).insert(window, entry.front, descriptor.id);
      }
    }
    this.ports = ports;
    this.memory = memory;
    this.#installed = installed;
    this.#generation = generation;
    this.#control.saw(generation);
  }

  #install(descriptor: DeviceDescriptor): Installed {
    const text = JSON.stringify(descriptor);
    const known = this.#installed.get(descriptor.id);
    if (known?.text === text) return known;
    if (descriptor.kind === MODULE_KIND) {
      return { text, front: this.#modules.front(descriptor, this) };
    }
    const factory = FACTORIES[descriptor.kind];
    if (factory === undefined) {
      throw new VireoError(
        "internal",
        `Cannot build ${descriptor.id}: no front of kind "${descriptor.kind}"`,
      );
    }
    return { text, front: factory(descriptor, this) };
  }

  irqLine(descriptor: DeviceDescriptor): IrqLine {
    return descriptor.irqFd < 0 ? NO_IRQ : new EdgeIrq(EventFd.borrow(descriptor.irqFd));
  }

  signal(descriptor: DeviceDescriptor, role: string): void {
    const fd = descriptor.fds[role];
    if (fd !== undefined) EventFd.borrow(fd).signal();
  }

  end(request: FrontRequest, detail = 0): void {
    this.#owner.end(request, detail);
  }

  park(index: number, value: number, timeout: number): boolean {
    return this.#control.park(index, value, timeout);
  }

  mark(code: number): void {
    this.#owner.mark(code);
  }

  warn(descriptor: DeviceDescriptor, message: string): void {
    if (this.#warnings.allows()) this.#owner.warn(descriptor.id, message);
  }
}
