/** A virtio device under a real vCPU: registers by exits, notifications by ioeventfd, the back in its I/O worker. */

import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import {
  VIRTIO_CONFIG_S_NEEDS_RESET,
  VIRTIO_MMIO_INTERRUPT_STATUS,
  VIRTIO_MMIO_QUEUE_NOTIFY,
  VIRTIO_MMIO_STATUS,
} from "../../src/abi/virtio.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { VireoError } from "../../src/base/errors.ts";
import { VcpuState } from "../../src/vcpu/control.ts";
import { PHASE, VirtioState } from "../../src/virtio/virtio_state.ts";
import { virtioDevice } from "../../src/virtio/mmio_plan.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { Driver, type DriverQueue, GuestArena } from "../support/driver.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { replaceWorker } from "../support/replaced_worker.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";
import { FrontRig } from "../support/virtio_front.ts";

openAllGroups();

const DEBUG_EXIT = 0xf4;
/** RAM of the guest for rings and buffers. */
const ARENA = 0x30000;
const ARENA_SIZE = 0x80000;

/** What the guest does after initialization; `base` is the device's first register. */
type Program = (
  code: Assembler,
  parts: { readonly base: number; readonly queue: DriverQueue },
) => void;

/**
 * A guest that drives an entropy device: the mock of a driver runs against a front of its own, and what it writes to registers
 * becomes the guest's code.
 */
function rngGuest(
  program: Program,
  arena = new GuestArena(ARENA, ARENA_SIZE),
): { readonly loader: Loader; readonly queue: () => DriverQueue } {
  let queue: DriverQueue | undefined;
  const loader: Loader = {
    loadMemory(info, memory) {
      const base = info.devices.find(({ kind }) => kind === "virtio-mmio")?.windows[0]?.base ?? 0;
      const code = new Assembler();
      const { front } = new FrontRig(RNG_SPEC);
      const recorder = {
        read: (offset: number, size: number) => front.read(offset, size),
        write: (offset: number, size: number, value: number) => {
          front.write(offset, size, value);
          code.eax(value).store(base + offset);
        },
      };
      const driver = new Driver(recorder, memory, arena);
      driver.initialize({ features: [] });
      [queue] = driver.queues;
      assert(queue);
      program(code, { base, queue });
      tinyLoader(code).loadMemory(info, memory);
    },
    loadVcpu: (info, index) => tinyLoader(new Assembler()).loadVcpu(info, index),
  };
  const opened = (): DriverQueue => {
    assert(queue);
    return queue;
  };
  return { loader, queue: opened };
}

/** A guest that asks for 64 bytes once, and waits for them. */
function askingGuest(): ReturnType<typeof rngGuest> {
  return rngGuest((code, { base, queue }) => {
    queue.add([{ writable: 64 }]);
    code.eax(0).store(base + VIRTIO_MMIO_QUEUE_NOTIFY)
      .label("wait").load(queue.usedAddress + 2, 1).compareAl(1).jumpNotEqual("wait")
      .out(DEBUG_EXIT, 4);
  });
}

/** A machine of a program whose entropy device is its own. */
function machineWithOwn(loader: Loader, module: URL): Promise<Machine> {
  const options = { bytes: [1, 2, 3, 4, 5, 6] };
  const device = virtioDevice({ id: "own0", module, spec: RNG_SPEC, options });
  const config = { memory: 4 * 2 ** 20, rng: false, debugExit: true, console: null };
  return buildMachine(config, { loader, devices: [device] });
}

Deno.test(
  "a virtio device of the program's own answers a guest, also when its machine is built again",
  requirement("kvm"),
  async () => {
    const module = new URL("../../examples/dice_device.ts", import.meta.url);
    for (let i = 0; i < 3; i++) {
      const { loader, queue } = askingGuest();
      await using machine = await machineWithOwn(loader, module);
      const outcome = await machine.run({ signal: AbortSignal.timeout(20_000) });
      assertEquals([outcome.reason, outcome.detail], ["debug-exit", 1]);
      assertEquals(queue().written(0).slice(0, 8), Uint8Array.of(1, 2, 3, 4, 5, 6, 1, 2));
    }
  },
);

Deno.test(
  "a virtio device of the program's own that throws ends the run, with its name, module and stack",
  requirement("kvm"),
  async () => {
    const module = new URL("./own_device.ts", import.meta.url);
    await using machine = await machineWithOwn(askingGuest().loader, module);
    const error = await assertRejects(() => machine.run(), VireoError);
    assertEquals([error.kind, machine.state], ["device", "ended"]);
    assertMatch(
      error.message,
      /^Device "own0" of file:.*own_device\.ts failed: TypeError: thrown on purpose by a queue; .*\n {4}at .*own_device\.ts:\d+:\d+/,
    );
  },
);

function machineWithRng(loader: Loader): Promise<Machine> {
  return buildMachine({ memory: 4 * 2 ** 20, rng: true, debugExit: true }, { loader });
}

Deno.test(
  "A guest's notification makes a virtio device answer, and interrupt",
  requirement("kvm"),
  async () => {
    let head = -1;
    const { loader, queue } = rngGuest((code, { base, queue }) => {
      head = queue.add([{ writable: 64 }]);
      code.eax(0).store(base + VIRTIO_MMIO_QUEUE_NOTIFY)
        .label("wait").load(queue.usedAddress + 2, 1).compareAl(1).jumpNotEqual("wait")
        .label("status").load(base + VIRTIO_MMIO_INTERRUPT_STATUS).compareEax(1)
        .jumpNotEqual("status").out(DEBUG_EXIT, 4);
    });
    await using machine = await machineWithRng(loader);
    const outcome = await machine.run({ signal: AbortSignal.timeout(20_000) });
    assertEquals([outcome.reason, outcome.detail], ["debug-exit", 1]);
    assertEquals(queue().used(), [{ head, length: 64 }]);
    assertNotEquals(queue().written(head), new Uint8Array(64));
  },
);

Deno.test(
  "A guest that resets a virtio device at work finds it reset, again and again",
  requirement("kvm"),
  async () => {
    const { loader } = rngGuest((code, { base, queue }) => {
      for (let i = 0; i < 32; i++) queue.add([{ writable: 8192, at: ARENA + 0x40000 }]);
      // Starts the whole program again, with the requests that are there, until the count in memory has gone to zero.
      const turns = ARENA + ARENA_SIZE;
      queue.memory.writeU32(turns, 50);
      code.eax(0).store(base + VIRTIO_MMIO_QUEUE_NOTIFY).eax(0).store(base + VIRTIO_MMIO_STATUS)
        .load(base + VIRTIO_MMIO_STATUS).compareEax(0).jumpNotEqual("failed")
        .bytes(0xff, 0x0d, turns % 256, Math.trunc(turns / 256) % 256, Math.trunc(turns / 65536), 0)
        .jumpEqual("done").bytes(0xbb, 0x00, 0x10, 0x00, 0x00, 0xff, 0xe3)
        .label("done").eax(7).label("failed").out(DEBUG_EXIT, 4);
    });
    await using machine = await machineWithRng(loader);
    const outcome = await machine.run({ signal: AbortSignal.timeout(30_000) });
    assertEquals([outcome.reason, outcome.detail], ["debug-exit", 7]);
  },
);

Deno.test(
  "Machine.run() ends when an I/O worker fails while a vCPU waits in a reset for it",
  requirement("kvm"),
  async () => {
    const go = ARENA + ARENA_SIZE;
    const { loader } = rngGuest((code, { base }) => {
      code.label("wait").load(go).compareEax(1).jumpNotEqual("wait")
        .eax(0).store(base + VIRTIO_MMIO_STATUS).spin();
    });
    const worker = new URL("./failing_io_worker.ts", import.meta.url);
    using _replaced = replaceWorker("io_worker", worker);
    const warnings: string[] = [];
    const owner = {
      warning: (device: string, text: string) => warnings.push(`${device}: ${text}`),
    };
    await using machine = await buildMachine({ memory: 4 * 2 ** 20, rng: true }, { loader, owner });
    const device = machine.devices.find(({ kind }) => kind === "virtio-mmio");
    const state = VirtioState.attach(machine.sharedState, device?.state ?? 0);
    const run = assertRejects(() => machine.run(), VireoError, "Failed on purpose in a reset");
    while (state.phase !== PHASE.ACTIVE) await pause(5);
    machine.memory.writeU32(go, 1);
    assertMatch((await run).message, /^An I\/O worker failed: /);
    assertEquals(machine.vcpuStates, [VcpuState.stopped]);
    // It did not wait until the reset's time was up: that would have been said, and seen in the status.
    assertEquals([state.phase, warnings], [PHASE.RESET, []]);
    // bits: the status register
    assertEquals(state.status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
  },
);

/** Puts used rings where page tables can be: at the begin of a page. */
class PagedArena extends GuestArena {
  override take(size: number, alignment?: number): number {
    return super.take(size, alignment === 4 ? 4096 : alignment);
  }
}

Deno.test(
  "A guest that puts a ring on top of its page tables loses those, and nobody else anything (ROBUSTNESS 1.15)",
  requirement("kvm"),
  async () => {
    const { loader, queue } = rngGuest((code, { base, queue }) => {
      const directory = queue.usedAddress;
      assertEquals(directory % 4096, 0);
      queue.add([{ writable: 64 }]);
      // All of memory as it is, in pages of 4 MiB: present, writable, large.
      for (let i = 0; i < 1024; i++) queue.memory.writeU32(directory + i * 4, i * 2 ** 22 + 0x83);
      code
        .eax(directory).bytes(0x0f, 0x22, 0xd8) // mov cr3, eax
        .eax(0x10).bytes(0x0f, 0x22, 0xe0) // mov cr4, eax: large pages
        .eax(0x80000011).bytes(0x0f, 0x22, 0xc0) // mov cr0, eax: paging
        .eax(0).store(base + VIRTIO_MMIO_QUEUE_NOTIFY)
        // Looks the tables up again and again, until they are a ring's.
        .eax(directory).label("again").bytes(0x0f, 0x22, 0xd8).jump("again");
    }, new PagedArena(ARENA, ARENA_SIZE));
    await using machine = await machineWithRng(loader);
    const outcome = await machine.run({ signal: AbortSignal.timeout(60_000) });
    assertEquals(outcome.reason, "crashed", outcome.text);
    // The device is through with its work, whatever became of its driver.
    const index = () => machine.memory.readU16(queue().usedAddress + 2);
    while (index() === 0) await pause(5);
    assertEquals(index(), 1);
    // The used ring's one element is all that was written: the tables go on behind it.
    const entry = (index: number) => machine.memory.readU32(queue().usedAddress + index * 4);
    assertEquals([entry(2), entry(3), entry(4)], [64, 3 * 2 ** 22 + 0x83, 4 * 2 ** 22 + 0x83]);
  },
);
