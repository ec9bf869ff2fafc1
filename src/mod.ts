/**
 * Vireo as a library: machines built and run from TypeScript.
 *
 * ```ts ignore
 * import { buildMachine, linuxLoader } from "./src/mod.ts";
 *
 * const loader = linuxLoader({ kernel: "vmlinuz", initrd: ["initrd.cpio"], commandLine: "console=ttyS0" });
 * await using machine = await buildMachine({ cpus: 2, memory: 2 ** 29 }, { loader });
 * const outcome = await machine.run({ signal: AbortSignal.timeout(60_000) });
 * console.log(outcome.reason, new TextDecoder().decode(machine.serialLog()));
 * ```
 *
 * @module
 */

export type {
  CpuidEntry,
  DescriptorTable,
  FpuState,
  Msr,
  Registers,
  Segment,
  SpecialRegisters,
} from "./abi/x86.ts";
export type { RamRegion } from "./arch/x86_64/layout.ts";
export { linux64Entry, pvhEntry, realModeEntry } from "./arch/x86_64/registers.ts";
export type { EntryState } from "./arch/x86_64/registers.ts";
export { ConfigError, GuestError, SystemError, VireoError } from "./base/errors.ts";
export type { ErrorKind } from "./base/errors.ts";
export type { BusName, BusWindow } from "./bus/bus_device.ts";
export type { DeviceDescriptor, PlainValue } from "./bus/device_descriptor.ts";
export { DEFAULT_MACHINE, machineConfig } from "./config/machine_config.ts";
export type {
  ConsoleConfig,
  CpuTopologyConfig,
  DiskConfig,
  MachineConfig,
  MemoryOptions,
  PortConfig,
  ScratchDiskConfig,
  SerialConfig,
  VcpuConfig,
} from "./config/machine_config.ts";
export { CPU_FEATURES } from "./config/cpu_features.ts";
export type { CpuFeatureName } from "./config/cpu_features.ts";
export type { Topology } from "./arch/x86_64/topology.ts";
export type { DevicePlan, Doorbell } from "./devices/device_plan.ts";
export type { EndRequest } from "./devices/front.ts";
export type { AddressRange } from "./memory/address_space.ts";
export type { GuestAddress } from "./memory/guest_address.ts";
export { GuestMemory } from "./memory/guest_memory.ts";
export type { RegionDescriptor, ViewAt } from "./memory/guest_memory.ts";
export { SharedLock, SharedState } from "./memory/shared_state.ts";
export { buildMachine } from "./machine/builder.ts";
export type { BuildParts } from "./machine/builder.ts";
export type { DeviceMessage, MachineOwner } from "./machine/events.ts";
export { linuxLoader } from "./machine/linux.ts";
export type { LinuxSource } from "./machine/linux.ts";
export type { Loader, MachineInfo } from "./machine/loader.ts";
export { Machine } from "./machine/machine.ts";
export type { MachineState } from "./machine/machine.ts";
export type { Outcome, OutcomeReason } from "./machine/outcome.ts";
export type { CpuFacts, Platform } from "./machine/platform.ts";
export { openResources } from "./machine/resources.ts";
export type { Resources } from "./machine/resources.ts";
export type { DiskImage } from "./storage/open_image.ts";
export { VcpuState } from "./vcpu/control.ts";
export type { EndCause } from "./vcpu/messages.ts";
export { Vm } from "./kvm/vm.ts";
export { Vcpu } from "./kvm/vcpu.ts";
export { Exit } from "./kvm/exit.ts";
export { KvmDescriptor } from "./kvm/descriptor.ts";
export type { GsiRoute, IoEvent, MemoryRegion } from "./kvm/vm.ts";
export type { VcpuDescriptor } from "./kvm/vcpu.ts";
export type { IoctlArgument, KvmDriver } from "./kvm/driver.ts";
export { KvmIoctl } from "./abi/kvm.ts";
export type { KvmIoctlName } from "./abi/kvm.ts";
export { Mapping } from "./host/mapping.ts";
export type { AnonymousOptions } from "./host/mapping.ts";
export { Fd } from "./host/fd.ts";
