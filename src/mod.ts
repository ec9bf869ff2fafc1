/**
 * Vireo as a library: machines built and run from TypeScript.
 *
 * ```ts ignore
 * import { createMachine } from "./src/mod.ts";
 *
 * await using machine = await createMachine({
 *   kernel: { path: "vmlinuz", initrd: "initrd.cpio" },
 *   cpu: { count: 2 },
 *   memory: { size: "512M" },
 * });
 * const outcome = await machine.run({ signal: AbortSignal.timeout(60_000) });
 * console.log(outcome.reason, new TextDecoder().decode(machine.serialLog()));
 * ```
 *
 * @module
 */

export { createMachine } from "./library/create_machine.ts";
export type { MachineOptions } from "./library/create_machine.ts";
export { Hypervisor } from "./library/hypervisor.ts";
export type { LoaderFunction, LoaderMachine, LoaderVcpu } from "./library/loader_function.ts";
export { launch, LaunchedMachine } from "./library/launch.ts";
export type { LaunchOptions } from "./library/launch.ts";
export { describeMachine } from "./library/machine_source.ts";
export type { Given, MachineDescription, MachineSource } from "./library/machine_source.ts";
export type { EntryLevel, LogEntry, Logger } from "./base/log.ts";
export type * from "./config/description.ts";
export { debugExit, debugYield } from "./devices/debug_port.ts";
export type { DebugPortOptions } from "./devices/debug_port.ts";
export { Kvm } from "./kvm/kvm.ts";
export type { KvmOptions } from "./kvm/kvm.ts";
export { CAPABILITIES } from "./kvm/capabilities.ts";
export type { CapabilityName } from "./kvm/capabilities.ts";
export { REGISTER_NAMES } from "./kvm/named_registers.ts";
export type { RegisterName, RegisterValues } from "./kvm/named_registers.ts";
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
export { ConfigError, GuestError, LaunchError, SystemError, VireoError } from "./base/errors.ts";
export type { ErrorKind } from "./base/errors.ts";
export type { BusName, BusWindow } from "./bus/bus_device.ts";
export type { DeviceDescriptor, PlainValue } from "./bus/device_descriptor.ts";
export { DEFAULT_MACHINE, machineConfig } from "./config/machine_config.ts";
export type {
  ConsoleConfig,
  CpuTopologyConfig,
  DiskCache,
  DiskConfig,
  MachineConfig,
  MemoryOptions,
  PortConfig,
  RngOptions,
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
export type { BuildHooks, BuildParts } from "./machine/builder.ts";
export type { DeviceMessage, MachineOwner } from "./machine/events.ts";
export { linuxLoader } from "./machine/linux.ts";
export type { LinuxSource } from "./machine/linux.ts";
export type { EntryChoice } from "./boot/linux_loader.ts";
export type { Loader, MachineInfo } from "./machine/loader.ts";
export { Machine } from "./machine/machine.ts";
export type { MachineState } from "./machine/lifecycle.ts";
export type { RunOptions } from "./machine/machine.ts";
export type { Outcome, OutcomeCause, OutcomeReason } from "./machine/outcome.ts";
export type { CpuFacts, Platform } from "./machine/platform.ts";
export { openResources } from "./machine/resources.ts";
export type { Resources } from "./machine/resources.ts";
export type { DiskImage } from "./storage/open_image.ts";
export type { DirectFile } from "./storage/image_file.ts";
export { MARK } from "./devices/boot_marks.ts";
export type { BootMark } from "./devices/boot_marks.ts";
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
export type { CollectedRange } from "./devices/device_plan.ts";
export type { CoalescedZone } from "./kvm/vm.ts";
export { CoalescedRing } from "./kvm/coalesced_ring.ts";
export type { CoalescedSink } from "./kvm/coalesced_ring.ts";
