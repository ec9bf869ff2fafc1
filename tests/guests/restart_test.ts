/** A guest that reboots again and again: what is left of the machines it had. */

import { assert, assertEquals } from "@std/assert";
import { I8042_COMMAND_PORT } from "../../src/arch/x86_64/layout.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import { openResources } from "../../src/machine/resources.ts";
import { threadsLeft } from "../linux/host_threads.ts";
import { descriptors, descriptorsPerWorker } from "../support/descriptors.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

const RESTARTS = 40;
const MIB = 2 ** 20;
/** Of each machine: one runs its vCPU, one its devices. */
const WORKERS = 2;
/** The command by which a guest pulls the processor's reset line. */
const PULSE_RESET = 0xfe;

interface Holdings {
  readonly kvmMappings: number;
  /** Bytes of address space. */
  readonly virtual: number;
}

async function holdings(): Promise<Holdings> {
  const maps = await Deno.readTextFile("/proc/self/maps");
  const status = await Deno.readTextFile("/proc/self/status");
  return {
    kvmMappings: maps.split("\n").filter((line) => line.includes("kvm-vcpu")).length,
    virtual: Number(/VmSize:\s+(\d+)/.exec(status)?.[1]) * 1024,
  };
}

/** How many of the objects are still there when V8 has had reason to collect, again and again for 30 s at most. */
async function reachable(objects: readonly WeakRef<object>[]): Promise<number> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { length } = objects.filter((object) => object.deref() !== undefined);
    if (length < objects.length / 4 || performance.now() > deadline) return length;
    Array.from({ length: 2 ** 20 }, (_, index) => ({ index }));
    await pause(10);
  }
}

Deno.test(
  `a guest that reboots ${RESTARTS} times leaves no descriptor, no mapping and no shared state (row 1.9)`,
  requirement("kvm"),
  async () => {
    const config = { memory: 256 * MIB, disks: [{ size: MIB }] };
    // As over the restarts of a session: the disk stays open, all the rest is made anew.
    using resources = openResources(config);
    const loader = tinyLoader(new Assembler().eax(PULSE_RESET).out(I8042_COMMAND_PORT).spin());
    const states: WeakRef<object>[] = [];
    const sizes: number[] = [];
    const restart = async () => {
      await using machine = await buildMachine(config, { loader, resources });
      states.push(new WeakRef(machine.sharedState.buffer));
      // How much of it is given away.
      sizes.push(machine.sharedState.words[0] ?? 0);
      assertEquals((await machine.run()).reason, "reboot");
    };
    for (let i = 0; i < 5; i++) await restart();
    await threadsLeft("vcpu_");
    const perWorker = await descriptorsPerWorker();
    const open = await descriptors(Infinity);
    const before = await holdings();
    for (let i = 0; i < RESTARTS; i++) await restart();
    assertEquals(await threadsLeft("vcpu_"), []);
    assertEquals(await threadsLeft("io_"), []);
    const after = await holdings();
    assertEquals(after.kvmMappings, before.kvmMappings);
    const expected = open + RESTARTS * WORKERS * perWorker;
    const lost = await descriptors(expected) - expected;
    assert(lost < RESTARTS / 4, `${lost} more descriptors are open`);
    const grown = after.virtual - before.virtual;
    // The C library's arenas are 1 to 2 GiB of it; RAM that is never unmapped would be 10 GiB.
    assert(grown < 4096 * MIB, `the address space grew by ${grown} bytes`);
    assertEquals(new Set(sizes).size, 1);
    assert(
      await reachable(states) < RESTARTS / 4,
      "shared state of machines that are gone is kept",
    );
  },
);
