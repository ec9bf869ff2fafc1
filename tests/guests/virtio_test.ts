/** A virtio device under a real vCPU: registers by exits, notifications by ioeventfd, the back in its I/O worker. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  VIRTIO_MMIO_INTERRUPT_STATUS,
  VIRTIO_MMIO_QUEUE_NOTIFY,
  VIRTIO_MMIO_STATUS,
} from "../../src/abi/virtio.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { Driver, type DriverQueue, GuestArena } from "../support/driver.ts";
import { requirement } from "../support/require.ts";
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
      const driver = new Driver(recorder, memory, new GuestArena(ARENA, ARENA_SIZE));
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
