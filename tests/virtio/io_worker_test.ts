import { assert, assertEquals, assertMatch } from "@std/assert";
import { DECODE_TABLE_SIZE, DecodeTable } from "../../src/bus/decode_table.ts";
import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import type { DevicePlan } from "../../src/devices/device_plan.ts";
import type { FrontContext } from "../../src/devices/front.ts";
import { EventFd } from "../../src/host/fd.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Mapping, viewAt } from "../../src/host/mapping.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { consoleSpec } from "../../src/virtio/console.ts";
import {
  IO_CONTROL_SIZE,
  IoControl,
  type IoMessage,
  type IoStart,
  IoState,
  IoWanted,
} from "../../src/virtio/io_control.ts";
import { MmioFront } from "../../src/virtio/mmio_front.ts";
import { virtioMmioPlan } from "../../src/virtio/mmio_plan.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { descriptorOf } from "../support/descriptor.ts";
import { Driver, GuestArena } from "../support/driver.ts";
import { Fifo, PIPE_SIZE } from "../support/fifo.ts";
import { pause } from "../support/pause.ts";
import { Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";

// A library that is first opened inside a test counts as that test's leak.
if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") openAllGroups();

const MEMORY_SIZE = 1 << 20;
const TIMEOUT = 5000;

/** An I/O worker with its owner's side, and devices that are placed as a machine would. */
class WorkerRig implements AsyncDisposable {
  readonly #stack = new DisposableStack();
  readonly state = SharedState.create(512 * 1024);
  readonly mapping = this.#stack.use(Mapping.anonymous(MEMORY_SIZE));
  readonly regions = [
    { guestAddress: 0x1_0000_0000, size: MEMORY_SIZE, hostAddress: this.mapping.address },
  ];
  readonly memory = GuestMemory.map(this.regions, viewAt);
  readonly tableOffset = this.state.allocate(DECODE_TABLE_SIZE, "table");
  readonly table = new DecodeTable(this.state, this.tableOffset);
  readonly controlOffset = this.state.allocate(IO_CONTROL_SIZE, "worker");
  readonly control = new IoControl(this.state, this.controlOffset);
  readonly stop = this.#event();
  readonly wake = this.#event();
  readonly messages: IoMessage[] = [];
  readonly #worker = new Worker(new URL("../../src/virtio/io_worker.ts", import.meta.url), {
    type: "module",
  });

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<IoMessage>) => this.messages.push(event.data);
  }

  /** A descriptor of an entropy device for worker `worker`. */
  rng(id: string, worker = 0): DeviceDescriptor {
    return this.place(virtioMmioPlan({ id, device: "rng", spec: RNG_SPEC }), worker);
  }

  /** A descriptor as a machine would make it. */
  place(plan: DevicePlan, worker = 0): DeviceDescriptor {
    const roles = [...plan.events ?? [], ...(plan.doorbells ?? []).map(({ role }) => role)];
    return descriptorOf({
      kind: plan.kind,
      id: plan.id,
      gsi: 5,
      irqFd: this.#event().number,
      state: plan.createState?.(this.state) ?? -1,
      worker,
      fds: {
        ...plan.fds,
        ...Object.fromEntries(roles.map((role) => [role, this.#event().number])),
      },
      options: plan.options ?? {},
    });
  }

  start(): void {
    const start: IoStart = {
      index: 0,
      state: this.state.buffer,
      table: this.tableOffset,
      control: this.controlOffset,
      regions: this.regions,
      modules: [],
      stop: this.stop.number,
      wake: this.wake.number,
    };
    this.#worker.postMessage(start);
  }

  async reach(state: IoState): Promise<void> {
    assert(await this.control.until((now) => now === state, TIMEOUT), `worker reaches ${state}`);
  }

  /** Waits until the worker has said something. */
  async heard(): Promise<void> {
    const deadline = performance.now() + TIMEOUT;
    while (this.messages.length === 0 && performance.now() < deadline) {
      await pause(5);
    }
  }

  async request(wanted: IoWanted, state: IoState): Promise<void> {
    this.control.request(wanted);
    this.wake.signal();
    await this.reach(state);
  }

  async publish(devices: readonly DeviceDescriptor[]): Promise<void> {
    this.table.write(devices);
    this.wake.signal();
    assert(await this.control.untilGeneration(this.table.generation, TIMEOUT));
  }

  driver(descriptor: DeviceDescriptor, at = 0): Driver {
    const front: FrontContext = {
      state: this.state,
      irqLine: () => ({ trigger() {} }),
      signal: ({ fds }, role) => EventFd.borrow(fds[role] ?? -1).signal(),
      end: () => {},
      park: (index, value, timeout) =>
        Atomics.wait(this.state.words, index, value, timeout) !== "timed-out",
      mark: () => {},
      warn: (_, message) => this.messages.push({ type: "warning", device: "front", text: message }),
    };
    const arena = new GuestArena(0x1_0000_0000 + at, 0x40000);
    return new Driver(new MmioFront(descriptor, front), this.memory, arena);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.signal();
    const stopped = await this.control.until((now) => now === IoState.stopped, TIMEOUT);
    this.#worker.terminate();
    if (stopped) this.#stack.dispose();
    assert(stopped, "worker stops");
  }

  #event(): EventFd {
    return this.#stack.use(EventFd.create());
  }
}

/** Waits until `count` requests have come back. */
async function usedOf(driver: Driver, count: number): Promise<number[]> {
  const lengths: number[] = [];
  for (let i = 0; i < 500 && lengths.length < count; i++) {
    lengths.push(...driver.queues[0]?.used().map(({ length }) => length) ?? []);
    if (lengths.length < count) await pause(5);
  }
  return lengths;
}

/** Interrupts so far, as soon as there are some: they come after what they are for. */
async function interruptsOf(descriptor: DeviceDescriptor): Promise<number> {
  let count = 0;
  for (let i = 0; i < 500 && count === 0; i++) {
    count = EventFd.borrow(descriptor.irqFd).read();
    if (count === 0) await pause(5);
  }
  return count;
}

function notify(descriptor: DeviceDescriptor, queue = 0): void {
  EventFd.borrow(descriptor.fds[`notify${queue}`] ?? -1).signal();
}

Deno.test(
  "I/O worker has finished when the host has taken all that the guest wrote",
  requirement("ffi"),
  async () => {
    using fifo = new Fifo();
    await using rig = new WorkerRig();
    const spec = consoleSpec({ columns: 80, rows: 24 });
    const fds = { output: fifo.writer.number };
    const device = rig.place(virtioMmioPlan({ id: "console0", device: "console", spec, fds }));
    rig.table.write([device]);
    const driver = rig.driver(device);
    driver.initialize();
    rig.start();
    await rig.reach(IoState.running);
    fifo.fill();
    driver.queues[1]?.add([{ readable: new TextEncoder().encode("last words") }]);
    notify(device, 1);
    rig.control.request(IoWanted.finish);
    rig.wake.signal();
    assert(!await rig.control.until((state) => state === IoState.finished, 100));
    while (fifo.take().length === PIPE_SIZE);
    await rig.reach(IoState.finished);
    assertEquals(fifo.text(), "last words");
    await rig.heard();
    assertEquals(rig.messages, [{ type: "finished" }]);
  },
);

Deno.test(
  "I/O worker takes up a device that was driven before the worker ran",
  requirement("ffi"),
  async () => {
    await using rig = new WorkerRig();
    const device = rig.rng("rng0");
    rig.table.write([device]);
    const driver = rig.driver(device);
    driver.initialize();
    driver.queues[0]?.add([{ writable: 64 }]);
    notify(device);
    rig.start();
    assertEquals(await usedOf(driver, 1), [64]);
    assertEquals(await interruptsOf(device), 1);
  },
);

Deno.test(
  "I/O worker does nothing while paused but answer resets",
  requirement("ffi"),
  async () => {
    await using rig = new WorkerRig();
    const device = rig.rng("rng0");
    rig.table.write([device]);
    rig.start();
    await rig.reach(IoState.running);
    const driver = rig.driver(device);
    driver.initialize();
    driver.queues[0]?.add([{ writable: 16 }]);
    notify(device);
    assertEquals(await usedOf(driver, 1), [16]);

    await rig.request(IoWanted.pause, IoState.paused);
    driver.queues[0]?.add([{ writable: 32 }]);
    notify(device);
    await pause(50);
    assertEquals(driver.queues[0]?.usedIdx, 1);
    await rig.request(IoWanted.run, IoState.running);
    assertEquals(await usedOf(driver, 1), [32]);

    await rig.request(IoWanted.pause, IoState.paused);
    const before = performance.now();
    driver.status = 0;
    assertEquals(driver.status, 0);
    assert(performance.now() - before < 1000);
    await rig.request(IoWanted.run, IoState.running);
  },
);

Deno.test(
  "I/O worker follows the device list, and leaves other workers' devices alone",
  requirement("ffi"),
  async () => {
    await using rig = new WorkerRig();
    const [first, second, foreign] = [rig.rng("rng0"), rig.rng("rng1"), rig.rng("rng2", 1)];
    rig.table.write([first]);
    rig.start();
    await rig.reach(IoState.running);
    await rig.publish([first, second, foreign]);
    const drivers = [first, second, foreign].map((device, i) => rig.driver(device, i * 0x40000));
    for (const driver of drivers) driver.initialize();
    for (const driver of drivers) driver.queues[0]?.add([{ writable: 8 }]);
    for (const device of [first, second, foreign]) notify(device);
    assertEquals(await usedOf(drivers[0]!, 1), [8]);
    assertEquals(await usedOf(drivers[1]!, 1), [8]);
    assertEquals(drivers[2]?.queues[0]?.usedIdx, 0);

    await rig.publish([second]);
    drivers[0]?.queues[0]?.add([{ writable: 8 }]);
    notify(first);
    drivers[1]?.queues[0]?.add([{ writable: 24 }]);
    notify(second);
    assertEquals(await usedOf(drivers[1]!, 1), [24]);
    assertEquals(drivers[0]?.queues[0]?.usedIdx, 1);
  },
);

Deno.test("I/O worker passes a guest's fault on as one warning", requirement("ffi"), async () => {
  await using rig = new WorkerRig();
  const device = rig.rng("rng0");
  rig.table.write([device]);
  rig.start();
  await rig.reach(IoState.running);
  const driver = rig.driver(device);
  driver.initialize();
  const [queue] = driver.queues;
  assert(queue);
  queue.availIdx = 1000;
  notify(device);
  await rig.heard();
  assertEquals(rig.messages.length, 1);
  assertMatch(JSON.stringify(rig.messages[0]), /"rng0".*Available index went from 0 to 1000/);
  assertEquals(driver.status, 0x4f);
});

Deno.test("I/O worker says why it failed, and stops", requirement("ffi"), async () => {
  await using rig = new WorkerRig();
  rig.table.write([{ ...rig.rng("rng0"), kind: "no-such-kind" }]);
  rig.start();
  await rig.reach(IoState.stopped);
  await rig.heard();
  assertMatch(JSON.stringify(rig.messages), /"failed".*no back of kind/);
});

Deno.test(
  "I/O worker is past its last write when a reset ends, whenever that comes",
  requirement("ffi"),
  async () => {
    await using rig = new WorkerRig();
    const device = rig.rng("rng0");
    rig.table.write([device]);
    rig.start();
    const random = new Random(20);
    // Rings and buffers all lie in here.
    const words = new Uint32Array(viewAt(rig.mapping.address, 0x40000));
    for (let i = 0; i < 200; i++) {
      const driver = rig.driver(device);
      driver.initialize({ queueSizes: [64] });
      const [queue] = driver.queues;
      assert(queue);
      for (let k = 0; k < 32; k++) queue.add([{ writable: 4096 }]);
      if (random.chance(0.9)) notify(device);
      // From before the worker has seen DRIVER_OK to long after it is done.
      for (let spin = random.below(2 ** random.below(20)); spin > 0; spin--);
      driver.status = 0;
      assertEquals(driver.status, 0);
      words.fill(0x5a5a5a5a);
      if (i % 10 === 0) await pause(1);
      assertEquals(words.findIndex((word) => word !== 0x5a5a5a5a), -1, "no write comes after it");
      words.fill(0);
    }
    assertEquals(rig.messages, []);
  },
);
