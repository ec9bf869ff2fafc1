/**
 * The devices of one machine: gives each its window, interrupt, events and state, and publishes them to the isolates that
 * run them.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import type { BusWindow } from "../bus/bus_device.ts";
import { DECODE_TABLE_SIZE, DecodeTable } from "../bus/decode_table.ts";
import type { DeviceDescriptor } from "../bus/device_descriptor.ts";
import type { CoalescedRange, DevicePlan, Doorbell } from "../devices/device_plan.ts";
import { EventFd } from "../host/fd.ts";
import type { Vm } from "../kvm/vm.ts";
import type { AddressSpace } from "../memory/address_space.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { placeDevice } from "./device_place.ts";
import { stage } from "./stages.ts";

/** What devices are placed in. */
export interface DeviceSetParts {
  readonly vm: Vm;
  readonly state: SharedState;
  readonly addresses: AddressSpace;
  /** Whether devices get their interrupts: whether the VM has interrupt controllers. */
  readonly interrupts: boolean;
  /** Whether KVM coalesces writes to ports. */
  readonly coalesces: boolean;
}

/** A device with what was made for it. */
interface Placed {
  readonly descriptor: DeviceDescriptor;
  readonly holdings: DisposableStack;
}

/** No worker, or the shared one; backs that may block get workers of their own, numbered on from there. */
const WORKERS = { none: -1, shared: 0 } as const;

/** All devices of a machine. */
export class DeviceSet implements Disposable {
  /** Offset of the decode table in shared state. */
  readonly tableOffset: number;
  readonly #parts: DeviceSetParts;
  readonly #table: DecodeTable;
  readonly #placed: Placed[] = [];
  /** Workers whose device is gone: the next one that needs its own takes one of them. */
  readonly #idleWorkers: number[] = [];
  #workers = 1;
  #incarnations = 0;

  /** @param parts what devices are placed in */
  constructor(parts: DeviceSetParts) {
    this.#parts = parts;
    this.tableOffset = parts.state.allocate(DECODE_TABLE_SIZE, "the decode table");
    this.#table = new DecodeTable(parts.state, this.tableOffset);
  }

  /** All devices in the order of being added. */
  get descriptors(): readonly DeviceDescriptor[] {
    return this.#placed.map(({ descriptor }) => descriptor);
  }

  /** How many I/O workers the devices need: the shared one, and one for each back that may block. */
  get workers(): number {
    return this.#workers;
  }

  /** Gives a device its place. What was made for one that fails is released. Seen by others after {@linkcode DeviceSet.publish}. */
  add(plan: DevicePlan): DeviceDescriptor {
    if (this.#placed.some(({ descriptor }) => descriptor.id === plan.id)) {
      throw new VireoError("config", `Cannot add device "${plan.id}": that name is taken`);
    }
    using stack = new DisposableStack();
    const place = () => this.#place(plan, stack);
    const descriptor = stage("setup", `Cannot add device "${plan.id}"`, place);
    this.#placed.push({ descriptor, holdings: stack.move() });
    return descriptor;
  }

  /**
   * Takes a device out of the list.
   *
   * @returns releases what was made for the device; to be called when no isolate uses it any more
   */
  remove(id: string): () => void {
    const index = this.#placed.findIndex(({ descriptor }) => descriptor.id === id);
    const [placed] = index < 0 ? [] : this.#placed.splice(index, 1);
    if (placed === undefined) {
      const known = this.#placed.map(({ descriptor }) => descriptor.id).join(", ");
      throw new VireoError("range", `Cannot remove device "${id}": there are ${known || "none"}`);
    }
    return () => placed.holdings.dispose();
  }

  /** Shows the list to all isolates at their next look, and gives its generation. */
  publish(): number {
    this.#table.write(this.descriptors);
    return this.#table.generation;
  }

  /** Releases what was made for all devices, the last one first. */
  [Symbol.dispose](): void {
    for (const { holdings } of this.#placed.splice(0).reverse()) holdings.dispose();
  }

  #place(given: DevicePlan, stack: DisposableStack): DeviceDescriptor {
    const { state, vm, interrupts } = this.#parts;
    const plan: DevicePlan = interrupts ? given : { ...given, gsi: "none" };
    const { windows, gsi, names } = placeDevice(plan, this.#parts.addresses, this.descriptors);
    stack.defer(() => names.forEach((name) => this.#parts.addresses.remove(name)));
    const { events = [], doorbells = [], coalesced = [], options = {}, back = "none" } = plan;
    const fds: Record<string, number> = {};
    for (const [role, fd] of Object.entries(plan.fds ?? {})) if (fd >= 0) fds[role] = fd;
    for (const role of [...events, ...doorbells.map(({ role }) => role)]) {
      fds[role] = stack.use(EventFd.create()).number;
    }
    for (const doorbell of doorbells) this.#ring(doorbell, windows, fds, stack);
    for (const range of coalesced) this.#coalesce(range, windows, stack);
    const { result, giveBack } = state.lend(() => plan.createState?.(state) ?? -1);
    stack.defer(giveBack);
    return {
      kind: plan.kind,
      id: plan.id,
      ...(plan.module === undefined ? {} : { module: plan.module }),
      incarnation: ++this.#incarnations,
      windows,
      gsi,
      irqFd: gsi < 0 ? -1 : this.#irqFd(gsi, stack, vm),
      state: result,
      worker: back === "blocking" ? this.#ownWorker(stack) : WORKERS[back],
      fds,
      options,
    };
  }

  #ownWorker(stack: DisposableStack): number {
    const worker = this.#idleWorkers.pop() ?? this.#workers++;
    stack.defer(() => this.#idleWorkers.push(worker));
    return worker;
  }

  #irqFd(gsi: number, stack: DisposableStack, vm: Vm): number {
    const event = stack.use(EventFd.create());
    vm.assignIrqfd(event.number, gsi);
    stack.defer(() => vm.deassignIrqfd(event.number, gsi));
    return event.number;
  }

  #coalesce(
    { offset, size }: CoalescedRange,
    [window]: readonly BusWindow[],
    stack: DisposableStack,
  ): void {
    if (window === undefined || !this.#parts.coalesces) return;
    const zone = { address: window.base + offset, size, port: window.bus === "port" };
    this.#parts.vm.coalesce(zone);
    stack.defer(() => this.#parts.vm.uncoalesce(zone));
  }

  #ring(
    doorbell: Doorbell,
    windows: readonly BusWindow[],
    fds: Readonly<Record<string, number>>,
    stack: DisposableStack,
  ): void {
    const window = windows[0];
    const fd = fds[doorbell.role];
    if (window === undefined || fd === undefined) return;
    const event = {
      fd,
      address: window.base + doorbell.offset,
      length: doorbell.size,
      datamatch: doorbell.value,
      port: window.bus === "port",
    };
    this.#parts.vm.assignIoEvent(event);
    stack.defer(() => this.#parts.vm.deassignIoEvent(event));
  }
}
