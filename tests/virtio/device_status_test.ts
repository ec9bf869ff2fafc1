import { assertEquals } from "@std/assert";
import { VIRTIO_F_VERSION_1 } from "../../src/abi/virtio.ts";
import { nextStatus } from "../../src/virtio/device_status.ts";
import { RESET_TIMEOUT } from "../../src/virtio/transport.ts";
import { PHASE } from "../../src/virtio/virtio_state.ts";
import { FrontRig } from "../support/virtio_front.ts";

const STATUSES = [0, 1, 3, 0xb, 0xf];

Deno.test("nextStatus() goes one step at a time and never back (virtio 1.3 §3.1.1)", () => {
  const bytes = Array.from({ length: 256 }, (_, written) => written);
  const reached = STATUSES.map((status) => {
    const next = new Set(bytes.map((written) => nextStatus(status, written)));
    return [...next].filter((value) => value !== undefined && value !== status);
  });
  assertEquals(reached, [[1, 0x80], [3, 0x81], [0xb, 0x83], [0xf, 0x8b], [0x8f]]);
});

Deno.test("nextStatus() keeps NEEDS_RESET, whatever the driver writes (virtio 1.3 §2.1)", () => {
  assertEquals(nextStatus(0x4f, 0x0f), 0x4f);
  assertEquals(nextStatus(0x4f, 0x4f), 0x4f);
  assertEquals(nextStatus(0x4f, 0x8f), 0xcf);
  assertEquals(nextStatus(0x40, 1), undefined);
  assertEquals(nextStatus(0x0f, 0x4f), 0x0f);
});

Deno.test("nextStatus() takes nothing but repetition after FAILED", () => {
  assertEquals(nextStatus(0x83, 0x83), 0x83);
  assertEquals(nextStatus(0x83, 0x8b), undefined);
  assertEquals(nextStatus(0x83, 3), undefined);
});

for (
  const [from, written] of [[0, 2], [0, 3], [0, 0x42], [1, 0xb], [3, 7], [0xb, 3], [0xf, 0xb], [
    0,
    0x101,
  ]]
) {
  Deno.test(`Transport refuses status 0x${written?.toString(16)} after 0x${from?.toString(16)}`, () => {
    const { driver, warnings } = new FrontRig();
    const steps = STATUSES.slice(1, STATUSES.indexOf(from ?? 0) + 1);
    for (const step of steps) {
      if (step === 0xb) driver.takeFeatures([VIRTIO_F_VERSION_1]);
      driver.status = step;
    }
    driver.status = written ?? 0;
    assertEquals([driver.status, warnings.length], [from, 1]);
  });
}

Deno.test("Transport refuses FEATURES_OK without VERSION_1 (virtio 1.3 §6.1)", () => {
  const { driver, warnings } = new FrontRig();
  driver.status = 1;
  driver.status = 3;
  driver.takeFeatures([0, 5]);
  driver.status = 0xb;
  assertEquals([driver.status, warnings.length], [3, 1]);
  driver.takeFeatures([0, 5, 32]);
  driver.status = 0xb;
  assertEquals(driver.status, 0xb);
});

for (const feature of [1, 31, 33, 34, 63]) {
  Deno.test(`Transport refuses FEATURES_OK with feature ${feature}, which was not offered (virtio 1.3 §2.2)`, () => {
    const { driver } = new FrontRig();
    driver.status = 1;
    driver.status = 3;
    driver.takeFeatures([32, feature]);
    driver.status = 0xb;
    assertEquals(driver.status, 3);
  });
}

Deno.test("Transport hands the device to its back at DRIVER_OK, and does not wait", () => {
  const { driver, block, signals, parked } = new FrontRig();
  driver.initialize();
  assertEquals([block.phase, signals, parked], [PHASE.ACTIVATE, ["control"], []]);
  driver.status = 0xf;
  assertEquals(signals, ["control"]);
});

Deno.test("Transport resets alone what no back has taken up", () => {
  const rig = new FrontRig();
  rig.driver.initialize();
  rig.driver.status = 0;
  assertEquals([rig.block.phase, rig.driver.status, rig.parked], [PHASE.IDLE, 0, []]);
  assertEquals(rig.block.queues.map(({ ready, size }) => [ready, size]), [[false, 16], [
    false,
    64,
  ]]);
  assertEquals(rig.block.driverFeatures(1), 0);
});

Deno.test("Transport waits for the back at a reset (virtio 1.3 §2.1.2)", () => {
  const rig = new FrontRig();
  rig.driver.initialize();
  rig.takeUp();
  const seen: unknown[] = [];
  rig.whileParked = () => {
    // Another vCPU meanwhile: the status reads as it was, and nothing is taken.
    seen.push(rig.driver.status, rig.block.phase);
    rig.driver.status = 1;
    rig.driver.status = 0x8f;
    rig.driver.setQueue(0, rig.driver.queues[1]!);
    seen.push(rig.driver.status, rig.block.queues[0]?.descriptorArea);
    rig.letGo();
  };
  const before = rig.block.queues[0]?.descriptorArea;
  rig.driver.status = 0;
  assertEquals(seen, [0xf, PHASE.RESET, 0xf, before]);
  assertEquals([rig.driver.status, rig.parked], [0, [RESET_TIMEOUT]]);
  rig.driver.initialize();
  assertEquals(rig.driver.status, 0xf);
});

Deno.test("Transport stays in NEEDS_RESET where the back doesn't let go in time", () => {
  const rig = new FrontRig();
  rig.driver.initialize();
  rig.takeUp();
  rig.driver.status = 0;
  assertEquals([rig.driver.status, rig.block.phase, rig.warnings.length], [0x40, PHASE.RESET, 1]);
  rig.driver.status = 1;
  assertEquals(rig.driver.status, 0x40);
  rig.letGo();
  assertEquals(rig.driver.status, 0);
  rig.driver.initialize();
  assertEquals(rig.driver.status, 0xf);
});

Deno.test("Transport does not ask for another reset where the back lets go in the last moment", () => {
  const rig = new FrontRig();
  rig.driver.initialize();
  rig.takeUp();
  rig.tooLate = true;
  rig.driver.status = 0;
  assertEquals([rig.driver.status, rig.block.phase, rig.warnings], [0, PHASE.IDLE, []]);
});

Deno.test("VirtioState.fail() interrupts after DRIVER_OK only (virtio 1.3 §2.1.2)", () => {
  const rig = new FrontRig();
  rig.driver.negotiate();
  assertEquals([rig.block.fail(), rig.driver.status, rig.block.interruptStatus], [false, 0x4b, 0]);
  rig.driver.initialize();
  assertEquals([rig.block.fail(), rig.driver.status, rig.block.interruptStatus], [true, 0x4f, 2]);
});

Deno.test("VirtioState.update() wakes who waits for the phase, when it has changed", async () => {
  const { block, state } = new FrontRig();
  // Atomics.waitAsync alone does not keep Deno from ending.
  const alive = setInterval(() => {}, 1000);
  const waited = (timeout: number) =>
    Atomics.waitAsync(state.words, block.phaseIndex, PHASE.IDLE, timeout).value;
  const quiet = waited(50);
  block.update((registers) => {
    registers.status = 1;
  });
  assertEquals(await quiet, "timed-out");
  const woken = waited(60_000);
  block.update((registers) => {
    registers.phase = PHASE.ACTIVATE;
  });
  assertEquals(await woken, "ok");
  clearInterval(alive);
});

Deno.test("Transport forgets interrupts that nobody acknowledged at a reset (virtio 1.3 §2.4)", () => {
  const rig = new FrontRig();
  rig.driver.initialize();
  rig.block.addInterrupt(3);
  rig.driver.status = 0;
  assertEquals([rig.block.interruptStatus, rig.driver.status], [0, 0]);
  rig.driver.initialize();
  assertEquals(rig.block.interruptStatus, 0);
});

Deno.test("Transport lets two vCPUs reset at once", () => {
  const rig = new FrontRig();
  rig.driver.initialize();
  rig.takeUp();
  let nested = false;
  rig.whileParked = () => {
    if (nested) return rig.letGo();
    nested = true;
    rig.driver.status = 0;
  };
  rig.driver.status = 0;
  assertEquals([rig.driver.status, rig.parked.length, rig.warnings], [0, 2, []]);
});

Deno.test("Transport goes from FAILED back by a reset", () => {
  const { driver } = new FrontRig();
  driver.negotiate();
  driver.status = 0x8b;
  assertEquals(driver.status, 0x8b);
  driver.status = 0;
  driver.initialize();
  assertEquals(driver.status, 0xf);
});
