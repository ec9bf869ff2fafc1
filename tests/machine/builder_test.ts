/** Each stage of building a machine fails on its own, keeps its cause and releases what was made before. */

import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { EEXIST, EINVAL, EMFILE, ENOENT, ENOMEM } from "../../src/abi/linux.ts";
import { pvhEntry } from "../../src/arch/x86_64/registers.ts";
import { ConfigError, type ErrorKind, SystemError, VireoError } from "../../src/base/errors.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Mapping } from "../../src/host/mapping.ts";
import { buildMachine, type BuildParts } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import { x86Platform } from "../../src/machine/platform.ts";
import { FakeKvm, type FakeKvmOptions } from "../support/fake_kvm.ts";
import { requirement } from "../support/require.ts";
import { Assembler, tinyLoader } from "../support/tiny_guest.ts";

openAllGroups();

const MIB = 2 ** 20;
const LOADER = tinyLoader(new Assembler().spin());
const CAUSE = new Error("on purpose");

function fail(): never {
  throw CAUSE;
}

/** What goes wrong, and the kind of error that it gives. */
interface StageCase {
  readonly kind: ErrorKind;
  readonly kvm?: FakeKvmOptions;
  readonly parts?: Partial<BuildParts>;
  readonly memory?: number;
  /** Which call or option, the cause, and what to do next. */
  readonly says: RegExp;
}

const STAGES: readonly StageCase[] = [
  { kind: "config", memory: MIB + 1, says: /^memory: .*1048577.*multiple/ },
  {
    kind: "open",
    kvm: { faults: [{ name: "open", errno: ENOENT }] },
    says: /"\/dev\/kvm": open: ENOENT .*; load KVM with `modprobe/,
  },
  { kind: "compat", kvm: { capabilities: { IRQFD: 0 } }, says: /lacks IRQFD; use a Linux kernel/ },
  { kind: "vcpu_mmap_size", kvm: { vcpuMapSize: 16 }, says: /16 bytes.*; use a Linux kernel/ },
  {
    kind: "create",
    kvm: { faults: [{ name: "KVM_CREATE_VM", errno: ENOMEM }] },
    says: /ioctl\(KVM_CREATE_VM\): ENOMEM .*; free memory on this host/,
  },
  {
    kind: "setup",
    kvm: { faults: [{ name: "KVM_CREATE_IRQCHIP", errno: EINVAL }] },
    says: /ioctl\(KVM_CREATE_IRQCHIP\): EINVAL .*; this host's KVM does not take it/,
  },
  {
    kind: "setup",
    kvm: { faults: [{ name: "KVM_IRQFD", errno: EMFILE }] },
    says: /device "serial0": .*ioctl\(KVM_IRQFD\): EMFILE .*; raise the limit .*`ulimit -n`/,
  },
  {
    kind: "setup_memory",
    parts: { platform: { ...x86Platform, setupMemory: fail } },
    says: /regions: on purpose; this is a fault of Vireo's, or of the loader or hook/,
  },
  {
    kind: "alloc_memory",
    parts: {
      allocate: () => {
        throw new SystemError("mmap", ENOMEM, "Cannot map 2097152 bytes");
      },
    },
    says: /guest memory: Cannot map 2097152 bytes: mmap: ENOMEM .*; free .*--memory, memory.size/,
  },
  {
    kind: "load_memory",
    parts: { loader: { ...LOADER, loadMemory: fail } },
    says: /Cannot load the guest: on purpose; this is a fault .* of the loader/,
  },
  {
    kind: "set_user_memory_region",
    kvm: { faults: [{ name: "KVM_SET_USER_MEMORY_REGION", errno: EINVAL }] },
    says: /ioctl\(KVM_SET_USER_MEMORY_REGION\): EINVAL .*; this host's KVM/,
  },
  {
    kind: "create_vcpu",
    kvm: { faults: [{ name: "KVM_CREATE_VCPU", errno: EEXIST }] },
    says: /^Cannot create vCPU 0: ioctl\(KVM_CREATE_VCPU\): EEXIST .*; see `dmesg/,
  },
  {
    kind: "mmap_vcpu",
    kvm: { faults: [{ name: "mmap", errno: ENOMEM }] },
    says: /vCPU 0: .*mmap: ENOMEM .*; free memory/,
  },
  {
    kind: "setup_vcpu",
    kvm: { faults: [{ name: "KVM_SET_CPUID2", errno: EINVAL }] },
    says: /vCPU 0.*ioctl\(KVM_SET_CPUID2\): EINVAL .*; this host's KVM/,
  },
  {
    kind: "load_vcpu",
    parts: { loader: { ...LOADER, loadVcpu: fail } },
    says: /Cannot load vCPU 0: on purpose; this is a fault/,
  },
];

for (const { kind, kvm, parts, memory = 2 * MIB, says } of STAGES) {
  Deno.test(
    `buildMachine() fails with kind ${kind} at that stage, says ${says} and releases everything (rows 0.9, 0.11)`,
    requirement("ffi"),
    async () => {
      const driver = new FakeKvm(kvm);
      const mappings = new CountedMemory();
      const error = await assertRejects(
        () =>
          buildMachine({ memory }, { loader: LOADER, driver, allocate: mappings.make, ...parts }),
        VireoError,
      );
      assertEquals(error.kind, kind);
      assertMatch(error.message, says);
      assertEquals([...driver.openFds], []);
      assertEquals(driver.openMappings, 0);
      assertEquals(mappings.open, 0);
    },
  );
}

/** Guest memory that counts what is mapped. */
class CountedMemory {
  open = 0;
  readonly make = (size: number): Mapping => {
    const mapping = Mapping.anonymous(size);
    const dispose = mapping[Symbol.dispose].bind(mapping);
    this.open++;
    mapping[Symbol.dispose] = () => {
      this.open--;
      dispose();
    };
    return mapping;
  };
}

Deno.test(
  "buildMachine() keeps what a loader threw as the error's cause (row 0.10)",
  requirement("ffi"),
  async () => {
    const loader = { ...LOADER, loadMemory: fail };
    const error = await assertRejects(
      () => buildMachine({ memory: 2 * MIB }, { loader, driver: new FakeKvm() }),
      VireoError,
    );
    assertEquals(error.kind, "load_memory");
    assertStrictEquals(error.cause, CAUSE);
  },
);

Deno.test(
  "buildMachine() lets its loader begin once there is RAM, and unmaps none before that has ended",
  requirement("ffi"),
  async () => {
    const begun = Promise.withResolvers<void>();
    const seen: string[] = [];
    const driver = new FakeKvm({ faults: [{ name: "KVM_CREATE_VM", errno: ENOMEM }] });
    const ram = new CountedMemory();
    const loader: Loader = {
      ...LOADER,
      begin(regions) {
        seen.push(`begin with ${regions[0]?.size} bytes`);
        return begun.promise;
      },
      loadMemory: fail,
    };
    const building = buildMachine({ memory: 2 * MIB }, { loader, driver, allocate: ram.make });
    const failed = assertRejects(() => building, VireoError, "Cannot create a VM");
    await new Promise((resolve) => setTimeout(resolve, 50));
    seen.push(`${ram.open} open`);
    begun.resolve();
    await failed;
    assertEquals([...seen, `${ram.open} open`], ["begin with 2097152 bytes", "1 open", "0 open"]);
  },
);

Deno.test(
  "buildMachine() fails with what its loader's beginning threw",
  requirement("ffi"),
  async () => {
    const loader: Loader = { ...LOADER, begin: () => Promise.reject(CAUSE) };
    const error = await assertRejects(
      () => buildMachine({ memory: 2 * MIB }, { loader, driver: new FakeKvm() }),
      VireoError,
    );
    assertEquals(error.kind, "load_memory");
    assertStrictEquals(error.cause, CAUSE);
  },
);

Deno.test(
  "buildMachine() names the ioctl and errno of a failing stage",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm({ faults: [{ name: "KVM_CREATE_VM", errno: ENOMEM }] });
    const error = await assertRejects(
      () => buildMachine({ memory: 2 * MIB }, { loader: LOADER, driver }),
      VireoError,
    );
    assertMatch(error.message, /ioctl\(KVM_CREATE_VM\): ENOMEM/);
    assert(error.cause instanceof SystemError);
  },
);

for (
  const { given, kvm, says } of [
    {
      given: { memory: 2 ** 40 },
      kvm: {},
      says:
        "memory.size: Cannot make 1099511627776 bytes of RAM: guest physical addresses have 40 bits",
    },
    {
      given: { cpus: 5 },
      kvm: { capabilities: { MAX_VCPUS: 4 } },
      says: "cpu.count: This host's KVM makes 4 vCPUs a VM; give at most so many",
    },
  ]
) {
  Deno.test(`buildMachine() says: ${says} (row 4.4)`, requirement("ffi"), async () => {
    const parts = { loader: LOADER, driver: new FakeKvm(kvm) };
    await assertRejects(
      () => buildMachine({ memory: 2 * MIB, ...given }, parts),
      ConfigError,
      says,
    );
  });
}

Deno.test(
  "buildMachine() names every capability that KVM lacks (row 0.8)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm({ capabilities: { IRQFD: 0, IMMEDIATE_EXIT: 0 } });
    const error = await assertRejects(
      () => buildMachine({ memory: 2 * MIB }, { loader: LOADER, driver }),
      VireoError,
    );
    assertEquals(error.kind, "compat");
    assertMatch(error.message, /IRQFD, IMMEDIATE_EXIT/);
  },
);

Deno.test(
  "buildMachine() says how many memory slots there are when it needs more (row 3.16)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm({ capabilities: { NR_MEMSLOTS: 1 } });
    const allocate = () => Mapping.anonymous(2 * MIB);
    const setupMemory = () => [
      { address: 0, size: 2 * MIB },
      { address: 4 * MIB, size: 2 * MIB },
    ];
    const platform = { ...x86Platform, setupMemory };
    const error = await assertRejects(
      () => buildMachine({ memory: 4 * MIB }, { loader: LOADER, driver, allocate, platform }),
      VireoError,
    );
    assertEquals(error.kind, "set_user_memory_region");
    assertMatch(error.message, /slot 1.*has 1/);
  },
);

Deno.test(
  "buildMachine() refuses registers that no processor enters a guest with, and names them (row 0.30)",
  requirement("ffi"),
  async () => {
    const entry = pvhEntry(0x1000, 0);
    const special = { ...entry.special, cr0: 0x80000000n };
    const loader = { ...LOADER, loadVcpu: () => ({ ...entry, special }) };
    const error = await assertRejects(
      () => buildMachine({ memory: 2 * MIB }, { loader, driver: new FakeKvm() }),
      VireoError,
    );
    assertEquals(error.kind, "load_vcpu");
    assertMatch(error.message, /vCPU 0.*CR0/i);
  },
);

Deno.test(
  "buildMachine() makes irqchip and PIT before any vCPU (row 3.18)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    await using _machine = await buildMachine({ memory: 2 * MIB, cpus: 2 }, {
      loader: LOADER,
      driver,
    });
    const order = driver.names.filter((name) => name.startsWith("KVM_CREATE_"));
    assertEquals(order.slice(0, 5), [
      "KVM_CREATE_VM",
      "KVM_CREATE_IRQCHIP",
      "KVM_CREATE_PIT2",
      "KVM_CREATE_VCPU",
      "KVM_CREATE_VCPU",
    ]);
  },
);

Deno.test(
  "buildMachine() sets CPUID before MSRs, and LAPIC and registers after both",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    await using _machine = await buildMachine({ memory: 2 * MIB }, { loader: LOADER, driver });
    const order = ["KVM_SET_CPUID2", "KVM_SET_MSRS", "KVM_SET_LAPIC", "KVM_SET_SREGS"] as const;
    assertEquals(driver.names.filter((name) => order.some((other) => other === name)), [...order]);
  },
);

Deno.test(
  "buildMachine() adds memory before interrupt controllers and events, which a new slot would wait for",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    await using _machine = await buildMachine({ memory: 2 * MIB }, { loader: LOADER, driver });
    const first = (name: string) => driver.names.findIndex((other) => other === name);
    const order = [
      "KVM_SET_USER_MEMORY_REGION",
      "KVM_CREATE_IRQCHIP",
      "KVM_IRQFD",
      "KVM_IOEVENTFD",
    ];
    assertEquals(order.toSorted((a, b) => first(a) - first(b)), order);
    assertEquals(order.filter((name) => first(name) < 0), []);
  },
);

Deno.test(
  "buildMachine() gives each memory region a slot of its own (row 3.13)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm();
    const allocate = (size: number) => Mapping.anonymous(size, { noReserve: true });
    await using machine = await buildMachine({ memory: 5 * 2 ** 30 }, {
      loader: LOADER,
      driver,
      allocate,
      platform: { ...x86Platform, setupMemory: (size) => x86Platform.setupMemory(size, 40, 0) },
    });
    const slots = driver.argumentsOf("KVM_SET_USER_MEMORY_REGION").map((bytes) => {
      const view = new DataView((bytes as Uint8Array).slice().buffer);
      return {
        slot: view.getUint32(0, true),
        flags: view.getUint32(4, true),
        address: Number(view.getBigUint64(8, true)),
        size: Number(view.getBigUint64(16, true)),
      };
    });
    assertEquals(slots, [
      { slot: 0, flags: 0, address: 0, size: 0xd0000000 },
      { slot: 1, flags: 0, address: 2 ** 32, size: 5 * 2 ** 30 - 0xd0000000 },
    ]);
    assertEquals(machine.memory.size, 5 * 2 ** 30);
  },
);

Deno.test(
  "buildMachine() refuses RAM beyond the host's address width, and names the width (row 4.4)",
  requirement("ffi"),
  async () => {
    const error = await assertRejects(
      () =>
        buildMachine({ memory: 2 ** 36 }, {
          loader: LOADER,
          driver: new FakeKvm(),
          platform: { ...x86Platform, setupMemory: (size) => x86Platform.setupMemory(size, 36, 0) },
        }),
      VireoError,
    );
    assertEquals(error.kind, "config");
    assertMatch(error.message, /36 bits/);
  },
);

Deno.test(
  "Machine gives kind closed for use after close (row 0.9)",
  requirement("ffi"),
  async () => {
    const machine = await buildMachine({ memory: 2 * MIB }, {
      loader: LOADER,
      driver: new FakeKvm(),
    });
    await machine.close();
    assertEquals((await assertRejects(() => machine.run(), VireoError)).kind, "closed");
  },
);
