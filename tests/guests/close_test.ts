/** Machines that are closed while they run, and what is left of them: nothing. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { UartState } from "../../src/devices/uart16550_state.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { threadNames, threadsLeft } from "../linux/host_threads.ts";
import { descriptors, descriptorsPerWorker } from "../support/descriptors.ts";
import { pause } from "../support/pause.ts";
import { Random } from "../support/random.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

const SERIAL = 0x3f8;
const MEMORY = 4 * 2 ** 20;
const LOOPS = 200;
const SEED = 23;
/** Of each machine: one runs its vCPU, one its devices. */
const WORKERS = 2;
/** In a lock's word: somebody waits for it. */
const CONTENDED = 2;

function tinyMachine(code: Assembler): Promise<Machine> {
  return buildMachine({ memory: MEMORY }, { loader: tinyLoader(code) });
}

Deno.test(
  `Machine.close() at any moment of a run ends it with kind \`closed\`, ${LOOPS} times, and releases all descriptors (row 0.23, seed ${SEED})`,
  requirement("kvm"),
  async () => {
    const random = new Random(SEED);
    const runAndClose = async () => {
      const machine = await tinyMachine(new Assembler().label("again").out(SERIAL).jump("again"));
      const run = assertRejects(() => machine.run(), VireoError);
      await pause(random.below(40));
      await machine.close();
      assertEquals((await run).kind, "closed");
    };
    for (let i = 0; i < 5; i++) await runAndClose();
    const perWorker = await descriptorsPerWorker();
    const before = await descriptors(Infinity);
    for (let i = 0; i < LOOPS; i++) await runAndClose();
    assertEquals(await threadsLeft("vcpu_"), []);
    const expected = before + LOOPS * WORKERS * perWorker;
    const after = await descriptors(expected);
    // One of each machine would be 200; Deno itself keeps one more or less from time to time.
    assert(after <= expected + 10, `${after} descriptors are open, ${expected} were expected`);
  },
);

Deno.test(
  "Machine.close() stops the I/O workers though a vCPU does not stop, says so, and leaves its memory alone",
  requirement("kvm"),
  async () => {
    const machine = await tinyMachine(new Assembler().label("again").out(SERIAL).jump("again"));
    const run = assertRejects(() => machine.run(), VireoError);
    while (!threadNames().includes("io_0") || machine.serialLog().length === 0) {
      await pause(5);
    }
    const memory = machine.memory;
    const serial = machine.devices.find(({ id }) => id === "serial0");
    // The guest's next access waits for the lock, as no vCPU ever should for longer than a moment.
    const at = (serial?.state ?? 0) + UartState.lock;
    machine.sharedState.lock(at).acquire();
    while (machine.sharedState.words[at / 4] !== CONTENDED) {
      await pause(5);
    }
    const error = await assertRejects(() => machine.close(), VireoError);
    assertMatch(error.message, /Cannot stop vCPU 0: its worker did not answer within 10000 ms/);
    assertEquals((await run).kind, "internal");
    assertEquals(await threadsLeft("io_"), []);
    assertEquals(memory.readU32(0), memory.readU32(0));
  },
);
