/** What a machine lets one do when, and in which order it ends. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { KvmIoctl } from "../../src/abi/kvm.ts";
import { ConfigError, VireoError } from "../../src/base/errors.ts";
import { type MachineConfig, machineConfig } from "../../src/config/machine_config.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import type { DevicePlan } from "../../src/devices/device_plan.ts";
import { pvpanic } from "../../src/devices/pvpanic.ts";
import { uart16550 } from "../../src/devices/uart16550_plan.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { hostDriver, type KvmDriver } from "../../src/kvm/driver.ts";
import { buildMachine, type BuildParts } from "../../src/machine/builder.ts";
import { Machine, type MachineParts } from "../../src/machine/machine.ts";
import { VcpuState } from "../../src/vcpu/control.ts";
import { vcpuThreads, vcpuThreadsLeft } from "../linux/host_threads.ts";
import { virtioMmioPlan } from "../../src/virtio/mmio_plan.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

/** RAM of the guest that counts up as long as it runs. */
const COUNTER = 0x20000;

/** A machine of 4 MiB whose vCPU 0 counts. */
function countingMachine(
  config: Partial<MachineConfig> = {},
  parts: Partial<BuildParts> = {},
): Promise<Machine> {
  const loader = tinyLoader(new Assembler().label("again").lockInc(COUNTER).jump("again"));
  return buildMachine({ memory: 4 * 2 ** 20, rng: false, ...config }, { loader, ...parts });
}

/** A run that goes on until the machine's close; settles with the error's kind. */
function runUntilClose(machine: Machine): Promise<string> {
  return assertRejects(() => machine.run(), VireoError).then(({ kind }) => kind);
}

async function counts(machine: Machine): Promise<void> {
  const before = machine.memory.readU32(COUNTER);
  while (machine.memory.readU32(COUNTER) === before) await pause(5);
}

Deno.test(
  "Machine.run() refuses a second run and leaves the first one alone",
  requirement("kvm"),
  async () => {
    await using machine = await countingMachine();
    const run = runUntilClose(machine);
    const second = await assertRejects(() => machine.run(), VireoError);
    assertMatch(second.message, /Cannot run a machine that is running; only one that is created/);
    await counts(machine);
    await machine.pause();
    await assertRejects(() => machine.run(), VireoError, "Cannot run a machine that is paused");
    assertEquals(machine.state, "paused");
    await machine.resume();
    await counts(machine);
    await machine.close();
    assertEquals(await run, "closed");
  },
);

Deno.test(
  "Machine.resume() refuses a machine that was never started, which may be run afterwards",
  requirement("kvm"),
  async () => {
    await using machine = await countingMachine();
    await assertRejects(() => machine.resume(), VireoError, "Cannot resume a machine that is cre");
    await assertRejects(
      () => machine.pause(),
      VireoError,
      "Cannot pause a machine that is created",
    );
    const run = runUntilClose(machine);
    await counts(machine);
    await machine.close();
    await run;
  },
);

Deno.test(
  "Machine.pause() and resume() take turns, also while the workers are still starting",
  requirement("kvm"),
  async () => {
    await using machine = await countingMachine({ cpus: 4 });
    const run = runUntilClose(machine);
    await Promise.all([machine.pause(), machine.resume(), machine.pause()]);
    assertEquals(machine.state, "paused");
    assertEquals(machine.vcpuStates, Array(4).fill(VcpuState.paused));
    const paused = machine.memory.readU32(COUNTER);
    await pause(100);
    assertEquals(machine.memory.readU32(COUNTER), paused);
    await machine.resume();
    await counts(machine);
    await machine.close();
    await run;
  },
);

Deno.test(
  "Machine.close() ends a machine that is being paused",
  requirement("kvm"),
  async () => {
    for (let i = 0; i < 10; i++) {
      await using machine = await countingMachine({ cpus: 2 });
      const run = runUntilClose(machine);
      await pause(i * 3);
      const paused = machine.pause();
      await machine.close();
      await paused.catch(() => {});
      assertEquals(await run, "closed");
    }
  },
);

Deno.test(
  "Machine.close() gives kind `closed` the second time, and so does run() after it (row 0.22)",
  requirement("kvm"),
  async () => {
    await using machine = await countingMachine();
    await machine.close();
    assertEquals((await assertRejects(() => machine.close(), VireoError)).kind, "closed");
    assertEquals((await assertRejects(() => machine.run(), VireoError)).kind, "closed");
  },
);

Deno.test(
  "Machine.close() stops vCPUs, then closes devices, the VM and its memory, in this order (row 0.21)",
  requirement("kvm"),
  async () => {
    const order: string[] = [];
    const nameOf = (fd: number) => Deno.readLinkSync(`/proc/self/fd/${fd}`);
    const closing: Machine[] = [];
    /** What happens, once, as long as the guest's memory can be read; vCPUs must have stopped before. */
    const note = (what: string) => {
      const [machine] = closing;
      if (machine === undefined || order.at(-1) === what) return;
      assert(machine.vcpuStates.every((state) => state === VcpuState.stopped), what);
      assert(memory.readU32(COUNTER) > 0);
      order.push(what);
    };
    const driver: KvmDriver = {
      ...hostDriver,
      ioctl(fd, request, argument) {
        if (request === KvmIoctl.KVM_IRQFD) note("devices");
        return hostDriver.ioctl(fd, request, argument);
      },
      close(fd) {
        note(nameOf(fd).replace(/^.*(kvm-vm|kvm-vcpu).*$/, "$1"));
        hostDriver.close(fd);
      },
    };
    const allocate = (size: number) => {
      const mapping = Mapping.anonymous(size);
      const dispose = mapping[Symbol.dispose].bind(mapping);
      mapping[Symbol.dispose] = () => {
        note("memory");
        dispose();
      };
      return mapping;
    };
    const machine = await countingMachine({ cpus: 2 }, { driver, allocate });
    const memory = machine.memory;
    const run = runUntilClose(machine);
    await counts(machine);
    closing.push(machine);
    await machine.close();
    await run;
    assertEquals(order, ["devices", "kvm-vcpu", "kvm-vm", "/dev/kvm", "memory"]);
  },
);

Deno.test(
  "Machine.run() refuses to run without all vCPUs of its description (row 3.2)",
  async () => {
    const parts: Partial<MachineParts> = { config: machineConfig({ cpus: 2 }), vcpus: [] };
    const machine = Machine.of(parts as MachineParts);
    const error = await assertRejects(() => machine.run(), VireoError);
    assertEquals(error.kind, "config");
    assertMatch(error.message, /2 vCPUs with 0/);
    assertEquals(machine.state, "created");
  },
);

Deno.test("machineConfig() refuses a list of vCPUs that is not as long as their number (row 3.1)", () => {
  const refused = (given: Partial<MachineConfig>) =>
    assertThrows(() => machineConfig(given), ConfigError).message;
  assertMatch(refused({ cpus: 2, vcpus: [{}] }), /vcpus: it has 1 entries for 2 vCPUs/);
  assertMatch(refused({ cpus: 1, vcpus: [{}, {}] }), /vcpus: it has 2 entries for 1 vCPUs/);
  assertMatch(refused({ cpus: 2, vcpus: [{}, { pin: [] }] }), /vcpus\[1\]\.pin/);
  assertMatch(refused({ cpus: 1, vcpus: [{ pin: [-1] }] }), /vcpus\[0\]\.pin: "-1"/);
});

Deno.test(
  "Machine.run() gives each vCPU what its own entry says: the host's processors (row 3.1)",
  requirement("kvm"),
  async () => {
    assertEquals(await vcpuThreadsLeft(), []);
    const vcpus = [{ pin: [0] }, {}];
    await using machine = await countingMachine({ cpus: 2, vcpus, startBarrier: true });
    const run = runUntilClose(machine);
    await counts(machine);
    assertEquals(await allowedProcessors("vcpu_0"), "0");
    assertEquals(await allowedProcessors("vcpu_1"), allowedHere());
    await machine.close();
    await run;
  },
);

Deno.test(
  "Machine.addDevice() gives a device that may block a worker of its own",
  requirement("kvm"),
  async () => {
    await using machine = await countingMachine();
    const plan = (id: string) =>
      virtioMmioPlan({ id, device: "rng", spec: RNG_SPEC, blocking: true });
    await machine.addDevice(plan("early"));
    const run = runUntilClose(machine);
    await counts(machine);
    await machine.addDevice(plan("late"));
    await machine.pause();
    await machine.addDevice(plan("later"));
    await machine.resume();
    const started = await Promise.all(["io_1", "io_2", "io_3"].map(allowedProcessors));
    assertEquals(started.map((processors) => processors !== undefined), [true, true, true]);
    await counts(machine);
    await machine.close();
    assertEquals(await run, "closed");
  },
);

/** The processors that this isolate may run on. */
function allowedHere(): string | undefined {
  return /^Cpus_allowed_list:\s+(.*)$/m.exec(Deno.readTextFileSync("/proc/thread-self/status"))
    ?.[1];
}

/** The processors that this process' thread of that name may run on, as the kernel lists them. */
async function allowedProcessors(thread: string): Promise<string | undefined> {
  for await (const { name } of Deno.readDir("/proc/self/task")) {
    const status = await Deno.readTextFile(`/proc/self/task/${name}/status`).catch(() => "");
    if (!status.startsWith(`Name:\t${thread}\n`)) continue;
    return /^Cpus_allowed_list:\s+(.*)$/m.exec(status)?.[1];
  }
  return undefined;
}

Deno.test(
  "Machine.run() gives each vCPU a thread named after it (row 3.4)",
  requirement("kvm"),
  async () => {
    assertEquals(await vcpuThreadsLeft(), []);
    await using machine = await countingMachine({ cpus: 3, startBarrier: true });
    const run = runUntilClose(machine);
    await counts(machine);
    assertEquals(vcpuThreads(), ["vcpu_0", "vcpu_1", "vcpu_2"]);
    await machine.close();
    await run;
    assertEquals(await vcpuThreadsLeft(), []);
  },
);

/** What a running machine says that is given a device whose halves no worker can make. */
async function failureWith(plan: DevicePlan): Promise<VireoError> {
  await using machine = await countingMachine({ cpus: 2 });
  const failed = assertRejects(() => machine.run(), VireoError);
  await counts(machine);
  const added = machine.addDevice(plan);
  const error = await failed;
  await added.catch(() => {});
  assertEquals(machine.vcpuStates, [VcpuState.stopped, VcpuState.stopped]);
  return error;
}

Deno.test(
  "Machine.run() ends with what a vCPU's worker threw: which vCPU, and the stack (row 3.11)",
  requirement("kvm"),
  async () => {
    const plan = { ...pvpanic({ id: "odd0", port: 0x510 }), kind: "impossible" };
    const { kind, message } = await failureWith(plan);
    assertEquals(kind, "internal");
    assertMatch(message, /^vCPU [01]'s worker failed: .*odd0.*"impossible"\n +at Board/);
  },
);

Deno.test(
  "Machine.run() ends with what an I/O worker threw, and the stack",
  requirement("kvm"),
  async () => {
    const nobodys = 9999;
    const plan = uart16550({ id: "odd0", port: 0x510, gsi: 5, input: nobodys, output: -1 });
    const { kind, message } = await failureWith(plan);
    assertEquals(kind, "internal");
    assertMatch(message, /^An I\/O worker failed: .*descriptor 9999.*EBADF.*\n +at /);
  },
);
