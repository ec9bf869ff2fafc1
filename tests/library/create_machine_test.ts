/** Machines as programs make them, with tiny guests on whatever KVM there is. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { KvmIoctl } from "../../src/abi/kvm.ts";
import { EEXIST, EINVAL } from "../../src/abi/linux.ts";
import { pvhEntry, realModeEntry } from "../../src/arch/x86_64/registers.ts";
import { ConfigError, VireoError } from "../../src/base/errors.ts";
import type { LogEntry } from "../../src/base/log.ts";
import { statusOfError } from "../../src/cli/exit_status.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { hostDriver, type KvmDriver } from "../../src/kvm/driver.ts";
import { createMachine, type MachineOptions } from "../../src/library/create_machine.ts";
import { Hypervisor } from "../../src/library/hypervisor.ts";
import type { LoaderFunction } from "../../src/library/loader_function.ts";
import type { MachineInfo } from "../../src/machine/loader.ts";
import { FakeKvm } from "../support/fake_kvm.ts";
import { guestKernel, POWER_OFF, says, SLEEP_CONTROL } from "../support/guest_kernel.ts";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { Assembler, CODE_ADDRESS, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

const SMALL = { memory: { size: "4M" }, console: { backend: "none" } } as const;
const COUNTER = 0x20000;
const LATE = 20_000;

/** Real mode: prints A and halts. */
const PRINT_A: LoaderFunction = ({ memory, vcpus }) => {
  memory.write(0x1000, Uint8Array.of(0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xfa, 0xf4));
  vcpus[0]?.enter(realModeEntry(0x100, 0));
};

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

Deno.test(
  "createMachine() runs what a loader has written, from where it says (rows 0.12, 1.28)",
  requirement("kvm"),
  async () => {
    await using machine = await createMachine(SMALL, { loader: PRINT_A });
    const { reason } = await machine.run({ signal: AbortSignal.timeout(LATE) });
    assertEquals([reason, textOf(machine.serialLog())], ["halted", "A"]);
  },
);

Deno.test(
  "createMachine() starts each vCPU with the registers that the loader has set (row 0.13)",
  requirement("kvm"),
  async () => {
    const loader: LoaderFunction = ({ memory, vcpus }) => {
      for (const vcpu of vcpus) {
        const code = new Assembler().lockInc(COUNTER).halt().assemble();
        memory.write(CODE_ADDRESS * (vcpu.index + 1), code);
        const entry = pvhEntry(CODE_ADDRESS * (vcpu.index + 1), 0);
        vcpu.enter({ ...entry, registers: { ...entry.registers, rdi: 100n + BigInt(vcpu.index) } });
      }
    };
    await using machine = await createMachine({ ...SMALL, cpu: { count: 3 } }, { loader });
    const before = [0, 1, 2].map((vcpu) => machine.registers(vcpu));
    assertEquals(before.map(({ rip }) => rip), [0x1000n, 0x2000n, 0x3000n]);
    assertEquals(before.map(({ rdi }) => rdi), [100n, 101n, 102n]);
    assertEquals((await machine.run({ signal: AbortSignal.timeout(LATE) })).reason, "halted");
    assertEquals(machine.memory.readU32(COUNTER), 3);
  },
);

Deno.test(
  "createMachine() tells the loader memory, vCPUs and devices, and fills what is not given with defaults",
  requirement("ffi"),
  async () => {
    const told: MachineInfo[] = [];
    const loader: LoaderFunction = ({ info }) => void told.push(info);
    await using machine = await createMachine({ disk: [{ size: "1M" }] }, {
      loader,
      driver: new FakeKvm(),
    });
    const [info] = told;
    assertEquals([info?.memorySize, info?.memoryBase, info?.cpus], [2 ** 30, 0, 1]);
    assertEquals(info?.devices, machine.devices);
    assertEquals(machine.devices.map(({ id }) => id).slice(-3), ["console0", "disk0", "rng0"]);
  },
);

Deno.test(
  "createMachine() refuses to make a machine without kernel and loader (row 0.14)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    const error = await assertRejects(() => createMachine({}, { driver }), ConfigError);
    assertEquals([error.kind, error.path, driver.calls], ["config", "kernel.path", []]);
  },
);

Deno.test(
  "createMachine() with a setupMemory of one region makes one memory slot (row 0.18)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    const setupMemory = () => [{ address: 0, size: 4 * 2 ** 20 }];
    const loader = tinyLoader(new Assembler().spin());
    const platform = { setupMemory };
    await using _machine = await createMachine({ memory: { size: "5G" } }, {
      loader,
      driver,
      platform,
    });
    assertEquals(driver.argumentsOf("KVM_SET_USER_MEMORY_REGION").length, 1);
  },
);

Deno.test(
  "createMachine() calls setupVm and setupVcpu of the program instead of its own (row 0.18)",
  requirement("ffi"),
  async () => {
    const order: string[] = [];
    const platform = {
      setupVm: () => void order.push("vm"),
      setupVcpu: (_vcpu: unknown, index: number) => void order.push(`vcpu ${index}`),
    };
    const driver = new FakeKvm();
    await using _machine = await createMachine({ ...SMALL, cpu: { count: 2 } }, {
      loader: tinyLoader(new Assembler().spin()),
      driver,
      platform,
    });
    assertEquals(order, ["vm", "vcpu 0", "vcpu 1"]);
    assertEquals(driver.names.includes("KVM_CREATE_IRQCHIP"), false);
  },
);

const HOOKS = ["onCreateVm", "onCreateVmWithMemory", "onCreateVcpu"] as const;

Deno.test(
  "createMachine() calls its hooks in order, each when its thing is there (row 1.27)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    const order: string[] = [];
    await using _machine = await createMachine({ ...SMALL, cpu: { count: 2 } }, {
      loader: tinyLoader(new Assembler().spin()),
      driver,
      hooks: {
        onCreateVm: () => void order.push(`vm after ${driver.names.at(-1)}`),
        onCreateVmWithMemory: (_vm, memory) => void order.push(`memory of ${memory.size}`),
        onCreateVcpu: (vcpu, index) => void order.push(`vCPU ${index}, id ${vcpu.id}`),
      },
    });
    assertEquals(order, [
      "vm after KVM_CREATE_VM",
      `memory of ${4 * 2 ** 20}`,
      "vCPU 0, id 0",
      "vCPU 1, id 1",
    ]);
  },
);

for (const name of HOOKS) {
  Deno.test(
    `createMachine() fails with what ${name} throws, and releases everything (row 1.27)`,
    requirement("ffi"),
    async () => {
      const driver = new FakeKvm();
      const cause = new Error("on purpose");
      const options: MachineOptions = {
        loader: tinyLoader(new Assembler().spin()),
        driver,
        hooks: {
          [name]: () => {
            throw cause;
          },
        },
      };
      const error = await assertRejects(() => createMachine(SMALL, options), VireoError);
      assertEquals(error.cause, cause);
      assertEquals([[...driver.openFds], driver.openMappings], [[], 0]);
    },
  );
}

Deno.test(
  "createMachine() makes machines without interrupt controllers, whose HLT exits (row 1.29)",
  requirement("kvm"),
  async () => {
    const asked: number[] = [];
    const driver: KvmDriver = {
      ...hostDriver,
      ioctl(fd, request, argument) {
        asked.push(request);
        return hostDriver.ioctl(fd, request, argument);
      },
    };
    const guest = new Assembler().lockInc(COUNTER).halt();
    await using machine = await createMachine(
      { ...SMALL, cpu: { count: 2 }, machine: { interrupts: false } },
      { loader: tinyLoader(guest, guest), driver },
    );
    const { reason } = await machine.run({ signal: AbortSignal.timeout(LATE) });
    assertEquals([reason, machine.memory.readU32(COUNTER)], ["halted", 2]);
    assertEquals(asked.includes(KvmIoctl.KVM_CREATE_VM), true);
    const none = [KvmIoctl.KVM_CREATE_IRQCHIP, KvmIoctl.KVM_CREATE_PIT2, KvmIoctl.KVM_IRQFD];
    assertEquals(none.filter((request) => asked.includes(request)), []);
  },
);

Deno.test(
  "createMachine() wants every vCPU started where no interrupt can start one",
  requirement("ffi"),
  async () => {
    const error = await assertRejects(
      () =>
        createMachine({ ...SMALL, cpu: { count: 2 }, machine: { interrupts: false } }, {
          loader: tinyLoader(new Assembler().spin()),
          driver: new FakeKvm(),
        }),
      VireoError,
    );
    assertEquals(error.kind, "load_vcpu");
    assertMatch(error.message, /vCPU 1 waiting.*let the loader start every vCPU/);
  },
);

Deno.test(
  "createMachine() puts RAM where it is described, and a guest runs there (rows 1.7, 1.29)",
  requirement("kvm"),
  async () => {
    const base = 0x1000000;
    const loader: LoaderFunction = ({ info, memory, vcpus }) => {
      assertEquals([info.memoryBase, info.ram], [base, [{ address: base, size: 4 * 2 ** 20 }]]);
      memory.write(base, new Assembler().eax(7).store(base + 0x2000).halt().assemble());
      vcpus[0]?.enter(pvhEntry(base, 0));
    };
    const given = { ...SMALL, memory: { size: "4M", base: "16M" } };
    await using machine = await createMachine(given, { loader });
    assertEquals([machine.memory.base, machine.memory.size], [base, 4 * 2 ** 20]);
    assertEquals((await machine.run({ signal: AbortSignal.timeout(LATE) })).reason, "halted");
    assertEquals(machine.memory.readU32(base + 0x2000), 7);
    assertThrows(() => machine.memory.readU8(0), VireoError, "not guest RAM");
    assertThrows(() => machine.memory.readU8(base - 1), VireoError, "not guest RAM");
  },
);

Deno.test(
  "createMachine() puts RAM at 0 where nothing else is said (row 1.7)",
  requirement("ffi"),
  async () => {
    const loader = tinyLoader(new Assembler().spin());
    await using machine = await createMachine(SMALL, { loader, driver: new FakeKvm() });
    assertEquals([machine.memory.base, machine.memory.size], [0, 4 * 2 ** 20]);
  },
);

Deno.test(
  "Machine.memory takes the host's writes while the guest polls (row 1.5)",
  requirement("kvm"),
  async () => {
    const guest = new Assembler().label("poll").load(COUNTER).compareEax(0x1234)
      .jumpNotEqual("poll").eax("!".charCodeAt(0)).out(0x3f8).halt();
    await using machine = await createMachine(SMALL, { loader: tinyLoader(guest) });
    const run = machine.run({ signal: AbortSignal.timeout(LATE) });
    assertEquals(await Promise.race([run, pause(100)]), undefined);
    machine.memory.writeU32(COUNTER, 0x1234);
    assertEquals((await run).reason, "halted");
    assertEquals(textOf(machine.serialLog()), "!");
  },
);

/** Real mode: counts interrupts of line 5 at 0x3000 and powers off after the third. */
const COUNT_IRQ_5: LoaderFunction = ({ memory, vcpus }) => {
  const out = (port: number, value: number) => [0xb0, value, 0xe6, port];
  memory.write(
    0x1000,
    Uint8Array.from([
      // The PIC: vectors from 0x20, line 5 alone.
      ...[...out(0x20, 0x11), ...out(0x21, 0x20), ...out(0x21, 0x04), ...out(0x21, 0x01)],
      ...out(0x21, 0xdf),
      ...[0xc6, 0x06, 0x04, 0x30, 0x01], // mov byte [0x3004], 1: ready
      ...[0xfb, 0xf4, 0xeb, 0xfc], // sti; again: hlt; jmp again
    ]),
  );
  memory.write(
    0x1100,
    Uint8Array.from([
      ...[0xfe, 0x06, 0x00, 0x30], // inc byte [0x3000]
      ...out(0x20, 0x20), // end of interrupt
      ...[0x80, 0x3e, 0x00, 0x30, 0x03, 0x74, 0x01, 0xcf], // cmp byte [0x3000], 3; je +1; iret
      ...[0xba, 0x00, 0x06, 0xb0, POWER_OFF, 0xee, 0xcf], // power off; iret
    ]),
  );
  memory.write(0x25 * 4, Uint8Array.of(0x00, 0x11, 0x00, 0x00));
  const entry = realModeEntry(0, 0x1000);
  vcpus[0]?.enter({ ...entry, registers: { ...entry.registers, rsp: 0x8000n } });
};

Deno.test(
  "Machine.setIrqLine() raises a line that the guest counts (row 1.10)",
  requirement("kvm"),
  async () => {
    await using machine = await createMachine(SMALL, { loader: COUNT_IRQ_5 });
    const run = machine.run({ signal: AbortSignal.timeout(LATE) });
    while (machine.memory.readU8(0x3004) === 0) await pause(5);
    for (const count of [1, 2, 3]) {
      machine.setIrqLine(5, 1);
      machine.setIrqLine(5, 0);
      while (machine.memory.readU8(0x3000) < count) await pause(5);
    }
    assertEquals((await run).reason, "powered-off");
    assertEquals(machine.memory.readU8(0x3000), 3);
  },
);

Deno.test(
  "createMachine() makes several machines in one process, with kernels of their own (row 0.29)",
  requirement("kvm"),
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "vireo-two-" });
    const run = async (text: string) => {
      const path = `${folder}/${text}`;
      const guest = says(text).eax(POWER_OFF).out(SLEEP_CONTROL);
      await Deno.writeFile(path, guestKernel(guest));
      const given = { ...SMALL, memory: { size: "32M" }, kernel: { path } };
      await using machine = await createMachine(given);
      const { reason } = await machine.run({ signal: AbortSignal.timeout(LATE) });
      return [reason, textOf(machine.serialLog())];
    };
    const ends = await Promise.all(["one", "two", "three"].map(run));
    await Deno.remove(folder, { recursive: true });
    assertEquals(ends, ["one", "two", "three"].map((text) => ["powered-off", text]));
  },
);

Deno.test(
  "createMachine() gives a logger entries of its level and above (row 2.16)",
  requirement("kvm"),
  async () => {
    const run = async (level: string) => {
      const entries: LogEntry[] = [];
      const logger = { log: (entry: LogEntry) => void entries.push(entry) };
      // A word where the UART's transmitter is, which takes bytes: something to warn of is not needed to see the levels.
      const guest = says("x").eax(POWER_OFF).out(SLEEP_CONTROL);
      const given = { ...SMALL, log: { level: level as "info" } };
      const machine = await createMachine(given, { loader: tinyLoader(guest), logger });
      await machine.run({ signal: AbortSignal.timeout(LATE) });
      await machine.close();
      return entries;
    };
    const [first, ...more] = await run("verbose");
    assertEquals(first, {
      level: "info",
      source: "machine",
      message: "The machine is built",
      data: { cpus: 1, memory: 4 * 2 ** 20 },
    });
    assertEquals(more.map(({ level, data }) => [level, data["reason"]]), [
      ["verbose", undefined],
      ["info", "powered-off"],
      ["verbose", undefined],
    ]);
    assertEquals((await run("info")).map(({ level }) => level), ["info", "info"]);
    assertEquals(await run("warn"), []);
  },
);

Deno.test(
  "createMachine() adds entries of its level to the described file, beside a logger (row 2.16)",
  requirement("kvm"),
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "vireo-log-" });
    try {
      const file = `${folder}/log`;
      await Deno.writeTextFile(file, "before\n");
      const entries: LogEntry[] = [];
      const logger = { log: (entry: LogEntry) => void entries.push(entry) };
      const given = { ...SMALL, name: "web", log: { level: "info", file } } as const;
      const loader = tinyLoader(says("x").eax(POWER_OFF).out(SLEEP_CONTROL));
      const machine = await createMachine(given, { loader, logger });
      await machine.run({ signal: AbortSignal.timeout(LATE) });
      await machine.close();
      const [old, ...lines] = (await Deno.readTextFile(file)).trimEnd().split("\n");
      assertEquals(old, "before");
      assertEquals(lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, "")), [
        "web: The machine is built",
        "web: The guest powered itself off (vCPU 0)",
      ]);
      assertEquals(entries.map(({ level }) => level), ["info", "info"]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test(
  "createMachine() tells the logger that the described file takes nothing (row 2.16)",
  requirement("kvm"),
  async () => {
    const entries: LogEntry[] = [];
    const logger = { log: (entry: LogEntry) => void entries.push(entry) };
    await using _machine = await createMachine(
      { ...SMALL, log: { file: "/dev/full" } },
      { loader: tinyLoader(new Assembler().spin()), logger },
    );
    assertEquals(entries.map(({ level, message }) => `${level}: ${message}`), [
      "info: The machine is built",
      "error: Cannot write to log.file: write: ENOSPC (no space left on device)",
    ]);
  },
);

Deno.test(
  "createMachine() refuses a machine whose log cannot be opened, before it touches KVM",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    const given = { ...SMALL, log: { file: "/proc/nowhere/log" } };
    const refused = () => createMachine(given, { loader: PRINT_A, driver });
    const error = await assertRejects(refused, ConfigError);
    assertEquals([error.path, driver.calls], ["log.file", []]);
  },
);

Deno.test(
  "createMachine() logs a crash as an error (row 2.16)",
  requirement("kvm"),
  async () => {
    const entries: LogEntry[] = [];
    const logger = { log: (entry: LogEntry) => void entries.push(entry) };
    const loader = tinyLoader(new Assembler().eax(1).out(0x505).spin());
    await using machine = await createMachine({ ...SMALL, log: { level: "error" } }, {
      loader,
      logger,
    });
    assertEquals((await machine.run()).reason, "crashed");
    assertEquals(entries.map(({ level, data }) => [level, data["cause"]]), [["error", "panic"]]);
  },
);

Deno.test(
  "Hypervisor.open() tells its architecture and makes machines until it is closed (row 1.1)",
  requirement("kvm"),
  async () => {
    const hypervisor = Hypervisor.open();
    assertEquals([hypervisor.architecture, hypervisor.check("IRQCHIP") > 0], ["x86_64", true]);
    await using machine = await hypervisor.createMachine(SMALL, { loader: PRINT_A });
    hypervisor.close();
    hypervisor.close();
    const refused = () => hypervisor.createMachine(SMALL, { loader: PRINT_A });
    assertEquals((await assertRejects(refused, VireoError)).kind, "closed");
    assertEquals(assertThrows(() => hypervisor.check("IRQCHIP"), VireoError).kind, "closed");
    assertEquals((await machine.run({ signal: AbortSignal.timeout(LATE) })).reason, "halted");
  },
);

Deno.test("Hypervisor.open() says that a platform has none (row 1.2)", () => {
  for (
    const build of [{ os: "darwin", arch: "x86_64" }, { os: "linux", arch: "aarch64" }] as const
  ) {
    const error = assertThrows(() => Hypervisor.open({ build }), VireoError);
    assertEquals([error.kind, statusOfError(error)], ["platform", 3]);
    assertEquals(
      error.message,
      `Cannot run machines on ${build.os} with ${build.arch} processors; ` +
        "use a host with Linux' KVM on x86_64",
    );
  }
});

Deno.test(
  "Machine.vm tells capabilities by name, and an unknown name is an error (row 4.2)",
  requirement("kvm"),
  async () => {
    await using machine = await createMachine(SMALL, { loader: PRINT_A });
    assert(machine.vm.check("DirtyLog") > 0);
    assertEquals(
      machine.vm.check("SGX_ATTRIBUTE") > 0,
      machine.vm.check("KVM_CAP_SGX_ATTRIBUTE") > 0,
    );
    assertEquals(assertThrows(() => machine.vm.check("Dirtylogg"), VireoError).kind, "unsupported");
  },
);

Deno.test(
  "Machine.vm is a raw door for any ioctl of the VM (row 3.19)",
  requirement("kvm"),
  async () => {
    const KVM_SET_TSS_ADDR = 0xae47;
    const KVM_CREATE_IRQCHIP = 0xae60;
    const KVM_CHECK_EXTENSION = 0xae03;
    const NR_MEMSLOTS = 10;
    await using machine = await createMachine(SMALL, { loader: PRINT_A });
    const { vm } = machine;
    assertEquals(vm.ioctl(KVM_CHECK_EXTENSION, NR_MEMSLOTS), vm.slotLimit);
    assertEquals(vm.ioctl(KVM_SET_TSS_ADDR, 0xfffbd000), 0);
    assertEquals(vm.ioctl(KVM_CREATE_IRQCHIP), -EEXIST);
    // A slot in the middle of the first one.
    const region = new Uint8Array(32);
    const view = new DataView(region.buffer);
    view.setUint32(0, 5, true);
    view.setBigUint64(8, 0x1000n, true);
    view.setBigUint64(16, 0x1000n, true);
    view.setBigUint64(24, BigInt(machine.memory.hostAddress(0x1000, 0x1000)), true);
    assert([-EEXIST, -EINVAL].includes(vm.ioctl(KvmIoctl.KVM_SET_USER_MEMORY_REGION, region)));
    view.setBigUint64(8, 0x8000000n, true);
    assertEquals(vm.ioctl(KvmIoctl.KVM_SET_USER_MEMORY_REGION, region), 0);
  },
);
