/**
 * The recipe of a machine, read from top to bottom. Every step either succeeds or fails with its stage's kind, and then
 * everything made before is released.
 *
 * @module
 */

import { HOLE_ADDRESS, RSDP_ADDRESS } from "../arch/x86_64/layout.ts";
import { checkTopology, flatTopology } from "../arch/x86_64/topology.ts";
import { type MachineConfig, machineConfig } from "../config/machine_config.ts";
import { BootMarks, MARK } from "../devices/boot_marks.ts";
import type { DevicePlan } from "../devices/device_plan.ts";
import { isSettled } from "../host/loop_turn.ts";
import { type Mapping, viewAt } from "../host/mapping.ts";
import { runSignalMask } from "../host/thread.ts";
import type { KvmDriver } from "../kvm/driver.ts";
import { Kvm } from "../kvm/kvm.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory, type RegionDescriptor } from "../memory/guest_memory.ts";
import { SharedState } from "../memory/shared_state.ts";
import { requireDescriptors } from "./descriptor_budget.ts";
import { devicePlans } from "./device_plans.ts";
import { DeviceSet } from "./device_set.ts";
import { firmwareTables, RESERVED_RANGES } from "./firmware.ts";
import { IoWorkerHandle } from "./io_worker_handle.ts";
import type { Loader, MachineInfo } from "./loader.ts";
import { MachineEvents, type MachineOwner } from "./events.ts";
import { Machine } from "./machine.ts";
import { machineModules } from "./machine_modules.ts";
import { type Platform, x86Platform } from "./platform.ts";
import { ramAllocator } from "./guest_ram.ts";
import { openResources, type Resources } from "./resources.ts";
import { stage } from "./stages.ts";
import { startIsolate } from "./vcpu_handle.ts";
import {
  enterAt,
  makeVcpus,
  requireVcpus,
  type StartOrder,
  startOrder,
  waitsForEver,
} from "./vcpu_setup.ts";

/** Called while a machine is built, in this order. */
export interface BuildHooks {
  /** The VM is there, and nothing in it. */
  onCreateVm?(vm: Vm): void;
  /** It has its memory, zeros but for what the loader has begun with, and no interrupt controllers and vCPUs yet. */
  onCreateVmWithMemory?(vm: Vm, memory: GuestMemory): void;
  /** A vCPU is there, set up as the platform does, and not loaded yet. */
  onCreateVcpu?(vcpu: Vcpu, index: number): void;
}

/** What a machine is built with besides its description. */
export interface BuildParts {
  /** Fills memory and says how vCPUs start. */
  readonly loader: Loader;
  /** Opened files; opened for this machine alone where absent. */
  readonly resources?: Resources;
  /** Whom to tell what happens. */
  readonly owner?: MachineOwner;
  /** Set-up that depends on the architecture; the one of x86-64 where absent. */
  readonly platform?: Platform;
  /** Told of each thing as soon as it is there; what one throws ends the building. */
  readonly hooks?: BuildHooks;
  /** Pseudo-terminals by what is on them, for {@linkcode Machine.ptys}. */
  readonly ptys?: { readonly [what: string]: string };
  /** Devices behind the description's. */
  readonly devices?: readonly DevicePlan[];
  /** What starts first; what has the guest run soonest where absent. */
  readonly startOrder?: StartOrder;
  /** Modules of devices that are to be added later. */
  readonly modules?: readonly (URL | string)[];
  /** Disposed of after the machine, or when it cannot be built. */
  readonly holding?: Disposable;
  /** The kernel's door; the real one where absent. */
  readonly driver?: KvmDriver;
  /** How RAM is made; as the description says where absent. */
  readonly allocate?: (size: number) => Mapping;
}

/** Bytes of shared state: 128 KiB of decode table, rings of the serial port and console, the rest for devices. */
const SHARED_STATE_SIZE = 4 * 2 ** 20;

/** Builds a machine with nothing running. */
export async function buildMachine(
  given: Partial<MachineConfig>,
  parts: BuildParts,
): Promise<Machine> {
  const platform = parts.platform ?? x86Platform;
  const { hooks = {} } = parts;
  // Disposed in reverse: memory is unmapped last, after the VM and everything that may look at it.
  using mappings = new DisposableStack();
  if (parts.holding !== undefined) mappings.use(parts.holding);
  using stack = new DisposableStack();

  const config = stage("config", "Cannot use this machine", () => machineConfig(given));
  const maxCpus = config.maxCpus ?? config.cpus;
  const topology = config.topology ?? flatTopology(maxCpus);
  stage("config", "Cannot use this machine", () => checkTopology(topology, maxCpus));
  requireDescriptors(config);
  const state = SharedState.create(SHARED_STATE_SIZE);
  const marks = config.bootTimer ? BootMarks.create(state) : undefined;
  const resources = parts.resources ?? stack.use(openResources(config));
  const options = { path: config.kvm, ...(parts.driver ? { driver: parts.driver } : {}) };
  const kvm = stack.use(stage("open", "Cannot open KVM", () => Kvm.open(options)));
  stage("compat", "Cannot use this KVM", () => kvm.requireCompatible());
  stage("config", "Cannot use this machine", () => requireVcpus(kvm, config.cpus));
  const physicalBits = stage("compat", "Cannot use this KVM", () => kvm.physicalAddressBits());
  const ram = stage(
    "setup_memory",
    "Cannot split memory into regions",
    () => platform.setupMemory(config.memory, physicalBits, config.memoryBase),
  );
  const allocate = parts.allocate ?? ramAllocator(config, resources.memory);
  const regions = ram.map(({ address, size }) => {
    const what = `Cannot allocate ${size} bytes of guest memory`;
    const mapping = mappings.use(stage("alloc_memory", what, () => allocate(size)));
    return { guestAddress: address, size, hostAddress: mapping.address };
  });
  const memory = stage(
    "setup_memory",
    "Cannot map guest memory",
    () => GuestMemory.map(regions, viewAt),
  );
  // Reading the kernel goes on while the steps below are done, the start of a worker above all. Nothing may write to guest memory
  // once it is unmapped, so a failure below waits for the loader too.
  const loading = [settled(() => parts.loader.begin?.(ram, memory))];
  try {
    const order = parts.startOrder ?? startOrder(config);
    const guestFirst = order === "guest-first";
    const worker = guestFirst ? undefined : startIsolate();
    stack.defer(() => worker?.terminate());
    const addresses = new AddressSpace({
      physicalBits,
      allocateFrom: HOLE_ADDRESS,
      reserved: RESERVED_RANGES,
    });
    ram.forEach((region, i) => addresses.addRam({ name: `ram${i}`, ...region }));
    const runSize = stage("vcpu_mmap_size", "Cannot size vCPUs", () => kvm.vcpuMapSize());
    const vm = stack.use(stage("create", "Cannot create a VM", () => kvm.createVm()));
    marks?.add(MARK.vmCreated);
    stage("create", "The hook onCreateVm failed", () => hooks.onCreateVm?.(vm));
    // Before all that KVM puts on its buses: a new slot waits until the kernel has forgotten their old tables, some 5 ms.
    mapSlots(vm, regions);
    stage(
      "setup_memory",
      "The hook onCreateVmWithMemory failed",
      () => hooks.onCreateVmWithMemory?.(vm, memory),
    );
    const { interrupts } = config;
    stage("setup", "Cannot set the VM up", () => platform.setupVm(vm, interrupts));

    const endWord = state.allocate(4, "the machine");
    const ringLock = state.allocate(4, "coalesced writes");
    const ringOffset = stage("setup", "Cannot set the VM up", () => vm.ringOffset(runSize));
    const coalesces = ringOffset > 0;
    const devices = stack.use(new DeviceSet({ vm, state, addresses, interrupts, coalesces }));
    stage("setup", "Cannot set the devices up", () => {
      for (const plan of [...devicePlans(config, resources), ...(parts.devices ?? [])]) {
        devices.add(plan);
      }
      devices.publish();
    });
    const info: MachineInfo = {
      uuid: config.uuid,
      memorySize: config.memory,
      memoryBase: config.memoryBase,
      interrupts,
      ram,
      windows: [...addresses.fixed(), ...addresses.allocations()],
      cpus: config.cpus,
      topology,
      devices: devices.descriptors,
      rsdpAddress: RSDP_ADDRESS,
    };
    loading.push(settled(() => parts.loader.loadMemory(info, memory)));
    const events = new MachineEvents(parts.owner ?? {});
    const modules = machineModules(devices.descriptors, parts.modules ?? []);
    const machine = {
      state: state.buffer,
      table: devices.tableOffset,
      end: endWord,
      ringLock,
      modules: modules.fronts,
      marks: marks?.offset ?? -1,
    };
    const vcpus = makeVcpus({
      vm,
      config,
      topology,
      state,
      mapRun: (vcpu) => vcpu.mapRun(runSize, ringOffset),
      events,
      machine,
      stack,
      worker,
      headStart: guestFirst ? () => marks?.add(MARK.firstRun) : undefined,
    });
    if (!guestFirst) vcpus[0]?.spawn();
    const facts = {
      cpus: maxCpus,
      topology,
      without: config.withoutFeatures,
      interrupts,
      supported: kvm.supportedCpuid(),
    };
    for (const [index, { vcpu }] of vcpus.entries()) {
      stage("setup_vcpu", `Cannot set vCPU ${index} up`, () => {
        platform.setupVcpu(vcpu, index, facts);
        vcpu.setSignalMask(runSignalMask());
        hooks.onCreateVcpu?.(vcpu, index);
      });
    }
    const loaded = Promise.all(loading);
    // As long as files are read there is the time to start a worker, and nothing to begin with.
    const reads = parts.loader.begin !== undefined;
    if (guestFirst && reads && !await isSettled(loaded)) vcpus[0]?.spawn();
    for (const part of await loaded) if (part !== undefined) throw part.error;
    marks?.add(MARK.loaded);
    stage("load_memory", "Cannot write the firmware tables", () => firmwareTables(info, memory));
    for (const [index, { vcpu }] of vcpus.entries()) {
      stage("load_vcpu", `Cannot load vCPU ${index}`, () => {
        const entry = parts.loader.loadVcpu(info, index);
        if (entry !== undefined) enterAt(vcpu, entry, physicalBits);
        else if (!interrupts) throw waitsForEver(index);
      });
    }
    const table = devices.tableOffset;
    const makeIoWorker = (index: number) =>
      new IoWorkerHandle({ index, state, table, regions, modules: modules.backs, events });
    events.note("info", "The machine is built", { cpus: config.cpus, memory: config.memory });
    return await Machine.of({
      config,
      vm,
      memory,
      state,
      marks,
      ptys: parts.ptys ?? {},
      vcpus,
      ioWorkers: Array.from(
        { length: devices.workers },
        (_, index) => stack.use(makeIoWorker(index)),
      ),
      makeIoWorker,
      devices,
      modules,
      startsTogether: order === "together",
      events,
      holdings: joined(mappings, stack),
    }).prepare();
  } finally {
    await Promise.all(loading);
  }
}

/** Starts a part of the loader's work; gives what went wrong with it when it has ended. */
async function settled(
  work: () => void | Promise<void>,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    await stage("load_memory", "Cannot load the guest", work);
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** A stack that disposes of `last` after `first`. */
function joined(last: DisposableStack, first: DisposableStack): DisposableStack {
  const stack = new DisposableStack();
  stack.use(last.move());
  stack.use(first.move());
  return stack;
}

function mapSlots(vm: Vm, regions: readonly RegionDescriptor[]): void {
  regions.forEach((region, slot) => {
    const what = `Cannot give memory region ${slot} to the VM`;
    stage("set_user_memory_region", what, () => vm.setMemoryRegion({ slot, ...region }));
  });
}
