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

// Machines from descriptions.

export { createMachine, type MachineOptions } from "./library/create_machine.ts";
export {
  describeMachine,
  type Given,
  type MachineDescription,
  type MachineSource,
} from "./library/machine_source.ts";
export { launch, LaunchedMachine, type LaunchOptions } from "./library/launch.ts";
export { Hypervisor } from "./library/hypervisor.ts";
export type { LoaderFunction, LoaderMachine, LoaderVcpu } from "./library/loader_function.ts";
export type * from "./config/description.ts";

// A machine, and how it runs and ends.

export { Machine, type RunOptions } from "./machine/machine.ts";
export type { MachineState } from "./machine/lifecycle.ts";
export type { Outcome, OutcomeCause, OutcomeReason } from "./machine/outcome.ts";
export type { DeviceMessage, MachineOwner } from "./machine/events.ts";
export type { EndCause } from "./vcpu/messages.ts";
export { VcpuState } from "./vcpu/control.ts";
export { type BootMark, MARK } from "./devices/boot_marks.ts";
export type { EntryLevel, LogEntry, Logger } from "./base/log.ts";
export {
  ConfigError,
  type ErrorKind,
  GuestError,
  LaunchError,
  SystemError,
  VireoError,
} from "./base/errors.ts";

// Building a machine piece by piece.

export { type BuildHooks, buildMachine, type BuildParts } from "./machine/builder.ts";
export type { StartOrder } from "./machine/vcpu_setup.ts";
export type { Loader, MachineInfo } from "./machine/loader.ts";
export { linuxLoader, type LinuxSource } from "./machine/linux.ts";
export type { EntryChoice } from "./boot/linux_loader.ts";
export type { CpuFacts, Platform } from "./machine/platform.ts";
export { openResources, type Resources } from "./machine/resources.ts";
export {
  type ConsoleConfig,
  type CpuTopologyConfig,
  DEFAULT_MACHINE,
  type DiskCache,
  type DiskConfig,
  type MachineConfig,
  machineConfig,
  type MemoryOptions,
  type PortConfig,
  type RngOptions,
  type ScratchDiskConfig,
  type SerialConfig,
  type VcpuConfig,
} from "./config/machine_config.ts";
export { CPU_FEATURES, type CpuFeatureName } from "./config/cpu_features.ts";
export type { Topology } from "./arch/x86_64/topology.ts";
export type { RamRegion } from "./arch/x86_64/layout.ts";
export { type EntryState, linux64Entry, pvhEntry, realModeEntry } from "./arch/x86_64/registers.ts";
export type {
  CpuidEntry,
  DescriptorTable,
  FpuState,
  Msr,
  Registers,
  Segment,
  SpecialRegisters,
} from "./abi/x86.ts";
export type { DiskImage } from "./storage/open_image.ts";
export type { DirectFile } from "./storage/image_file.ts";

// Devices.

export type { CoalescedRange, DevicePlan, Doorbell } from "./devices/device_plan.ts";
export { busDevice, type BusDeviceOptions } from "./devices/own_device.ts";
export {
  type OwnVirtioDeviceOptions,
  virtioDevice,
  type VirtioDeviceOptions,
} from "./virtio/mmio_plan.ts";
export type { EndRequest, FrontContext, FrontFactory, FrontRequest } from "./devices/front.ts";
export type { Back, BackContext, BackFactory } from "./devices/back.ts";
export type {
  VirtioContext,
  VirtioDevice,
  VirtioDeviceFactory,
  VirtioRegisters,
} from "./virtio/virtio_device.ts";
export type { VirtioSpec } from "./virtio/virtio_spec.ts";
export { DescriptorChain } from "./virtio/descriptor_chain.ts";
export type { Virtqueue } from "./virtio/virtqueue.ts";
export type { IrqLine } from "./bus/irq_line.ts";
export type { EventHandler, EventLoop, EventLoopOptions, LoopTimer } from "./host/event_loop.ts";
export { debugExit, type DebugPortOptions, debugYield } from "./devices/debug_port.ts";
export type { BusDevice, BusName, BusWindow } from "./bus/bus_device.ts";
export type { DeviceDescriptor, PlainValue } from "./bus/device_descriptor.ts";

// Memory and descriptors.

export { GuestMemory, type RegionDescriptor, type ViewAt } from "./memory/guest_memory.ts";
export type { GuestAddress } from "./memory/guest_address.ts";
export type { AddressRange } from "./memory/address_space.ts";
export { SharedLock, SharedState } from "./memory/shared_state.ts";
export { type AnonymousOptions, Mapping } from "./host/mapping.ts";
export { EPOLLIN, EPOLLOUT } from "./abi/linux.ts";
export { EventFd, Fd } from "./host/fd.ts";
export type { PlainThread } from "./host/plain_thread.ts";

// KVM itself.

export { Kvm, type KvmOptions } from "./kvm/kvm.ts";
export { Vm } from "./kvm/vm.ts";
export type { CoalescedZone, GsiRoute, IoEvent, MemoryRegion } from "./kvm/vm_block.ts";
export { Vcpu, type VcpuDescriptor } from "./kvm/vcpu.ts";
export { Exit } from "./kvm/exit.ts";
export { KvmDescriptor } from "./kvm/descriptor.ts";
export type { IoctlArgument, KvmDriver } from "./kvm/driver.ts";
export { CAPABILITIES, type CapabilityName } from "./kvm/capabilities.ts";
export { REGISTER_NAMES, type RegisterName, type RegisterValues } from "./kvm/named_registers.ts";
export { CoalescedRing, type CoalescedSink } from "./kvm/coalesced_ring.ts";
export { KvmIoctl, type KvmIoctlName } from "./abi/kvm.ts";
