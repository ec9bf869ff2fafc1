/**
 * The virtqueue by itself: taking a request of three buffers and giving it back, from a ring above 4 GiB with buffers above 2 GiB,
 * so that boxing would show.
 *
 * @module
 */

import { openRing, type Ring } from "../support/ring.ts";
import { type Figure, median, printFigures } from "./figures.ts";

/** What was measured of one kind of request. */
export interface QueueFigure {
  readonly name: string;
  /** Nanoseconds per descriptor, median of the rounds. */
  readonly nanoseconds: number;
  /** Bytes of heap that a request costs, median of the rounds. */
  readonly allocated: number;
}

/** Requests that the driver offers at once. */
const BATCH = 64;
/** Batches of a round: few enough for no garbage collection within it. */
const BATCHES = 64;
const ROUNDS = 61;
const WARM_UP = 1500;
const BUFFERS = [
  { readable: 16, at: 0xc000_1000 },
  { writable: 4096, at: 0x1_0008_0000 },
  { writable: 1, at: 0xc000_4000 },
];

/** Measures direct and indirect requests. */
export function queueBench(): QueueFigure[] {
  return [
    measure("request of 3 descriptors", false),
    measure("request of 3 descriptors in an indirect table", true),
  ];
}

function measure(name: string, indirect: boolean): QueueFigure {
  const bench = new QueueBench(indirect);
  for (let i = 0; i < WARM_UP; i++) bench.round();
  const times: number[] = [];
  const bytes: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const heap = Deno.memoryUsage().heapUsed;
    const start = performance.now();
    bench.round();
    times.push((performance.now() - start) * 1e6 / (BATCHES * BATCH * BUFFERS.length));
    bytes.push((Deno.memoryUsage().heapUsed - heap) / (BATCHES * BATCH));
  }
  return { name, nanoseconds: median(times), allocated: median(bytes) };
}

/** A ring whose available entries name the same 64 requests again and again. */
class QueueBench {
  readonly #ring: Ring;
  #avail = 0;
  /** What the device reads of the chains: an array, so that the sum is no allocation of its own. */
  readonly #sum = new Float64Array(1);

  constructor(indirect: boolean) {
    this.#ring = openRing({ size: 256, eventIdx: true });
    const { driver, memory } = this.#ring;
    for (let i = 0; i < BATCH; i++) {
      const head = driver.prepare(BUFFERS, { indirect });
      for (let slot = i; slot < driver.size; slot += BATCH) {
        memory.writeU16(driver.availAddress + 4 + 2 * slot, head);
      }
    }
  }

  round(): void {
    const { queue, chain, driver } = this.#ring;
    for (let i = 0; i < BATCHES; i++) {
      this.#avail = (this.#avail + BATCH) % 0x1_0000;
      driver.availIdx = this.#avail;
      queue.beginRound();
      queue.disableNotifications();
      while (queue.pop(chain)) {
        for (let k = 0; k < chain.count; k++) this.#sum[0]! += chain.address(k) + chain.length(k);
        queue.pushUsed(chain.head, 4097);
      }
      queue.publish();
      queue.enableNotifications();
    }
  }
}

if (import.meta.main) printFigures(queueBench().flatMap(rows));

function rows({ name, nanoseconds, allocated }: QueueFigure): Figure[] {
  const what = `virtqueue, ${name}`;
  return [
    { what, value: `${nanoseconds.toFixed(1)} ns per descriptor` },
    { what: `${what}: allocated`, value: `${allocated.toFixed(1)} bytes`, target: "nothing" },
  ];
}
