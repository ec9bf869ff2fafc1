import { assertEquals, assertLess } from "@std/assert";
import { SharedState } from "../../src/memory/shared_state.ts";
import { VCPU_CONTROL_SIZE, VcpuControl, VcpuState, Wanted } from "../../src/vcpu/control.ts";
import { Random } from "../support/random.ts";

/** Shorter than the slice after which a sleeper looks by itself: a lost wake-up takes longer. */
const WORST_MS = 900;

/** A worker that answers control words, and its owner's side. */
class Controlled implements Disposable {
  readonly control: VcpuControl;
  /** The longest wait so far, in ms. */
  worst = 0;
  readonly #worker = new Worker(new URL("../guests/control_worker.ts", import.meta.url), {
    type: "module",
  });

  constructor() {
    const state = SharedState.create(65536);
    const control = state.allocate(VCPU_CONTROL_SIZE, "vCPU 0");
    this.control = new VcpuControl(state, control);
    this.#worker.postMessage({ state: state.buffer, control });
  }

  /** Waits for a state; fails after ten seconds. */
  async until(wanted: VcpuState): Promise<void> {
    const before = performance.now();
    assertEquals(await this.control.until((state) => state === wanted, 10_000), true);
    this.worst = Math.max(this.worst, performance.now() - before);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Lets some microseconds pass without giving the processor away. */
function spend(microseconds: number): void {
  const end = performance.now() + microseconds / 1000;
  while (performance.now() < end);
}

Deno.test("VcpuControl: 10 000 random transitions lose no wake-up (row 3.6)", async () => {
  const random = new Random(36);
  using controlled = new Controlled();
  const { control } = controlled;
  await controlled.until(VcpuState.running);
  controlled.worst = 0;
  for (let i = 0; i < 5000; i++) {
    control.request(Wanted.pause);
    if (random.chance(0.2)) {
      // Changed one's mind twice: what was wanted last is what comes.
      control.request(Wanted.run);
      spend(random.below(20));
      control.request(Wanted.pause);
    }
    await controlled.until(VcpuState.paused);
    spend(random.below(40));
    control.request(Wanted.run);
    await controlled.until(VcpuState.running);
    spend(random.below(40));
  }
  if (random.chance(0.5)) control.request(Wanted.pause);
  control.request(Wanted.stop);
  await controlled.until(VcpuState.stopped);
  assertLess(controlled.worst, WORST_MS);
});

Deno.test("VcpuControl.request(): nothing undoes a stop (row 3.6)", async () => {
  using controlled = new Controlled();
  await controlled.until(VcpuState.running);
  controlled.control.request(Wanted.stop);
  controlled.control.request(Wanted.pause);
  controlled.control.request(Wanted.run);
  assertEquals(controlled.control.wanted, Wanted.stop);
  await controlled.until(VcpuState.stopped);
});

Deno.test("VcpuControl.request(stop) ends a pause (row 3.6)", async () => {
  using controlled = new Controlled();
  await controlled.until(VcpuState.running);
  controlled.control.request(Wanted.pause);
  await controlled.until(VcpuState.paused);
  controlled.control.request(Wanted.stop);
  await controlled.until(VcpuState.stopped);
  assertLess(controlled.worst, WORST_MS);
});
