/**
 * A machine's vCPUs while it is built: how many there may be, what each is made of, and where it starts.
 *
 * @module
 */

import { KVM_MP_STATE_RUNNABLE } from "../abi/kvm.ts";
import { checkGuestState } from "../arch/x86_64/guest_state.ts";
import type { EntryState } from "../arch/x86_64/registers.ts";
import { apicIds, type Topology } from "../arch/x86_64/topology.ts";
import { ConfigError, VireoError } from "../base/errors.ts";
import type { MachineConfig } from "../config/machine_config.ts";
import type { Kvm } from "../kvm/kvm.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";
import type { SharedState } from "../memory/shared_state.ts";
import { headStartPays } from "../vcpu/head_start.ts";
import { VCPU_CONTROL_SIZE, VcpuControl } from "../vcpu/control.ts";
import type { MachineEvents } from "./events.ts";
import { stage } from "./stages.ts";
import { VcpuHandle, type VcpuHandleParts } from "./vcpu_handle.ts";

/**
 * Refuses more vCPUs than KVM makes in a VM here.
 *
 * @throws ConfigError that names `cpu.count`
 */
export function requireVcpus(kvm: Kvm, cpus: number): void {
  const most = kvm.check("MAX_VCPUS");
  if (cpus <= most) return;
  throw new ConfigError(
    "cpu.count",
    `This host's KVM makes ${most} vCPUs a VM; give at most so many`,
  );
}

/**
 * What starts first: `together` all workers, and the guest when they are up; `worker-first` vCPU 0's worker, and all others while the
 * guest runs; `guest-first` vCPU 0 without its worker, which takes it over.
 */
export type StartOrder = "together" | "worker-first" | "guest-first";

/** The order that has the guest run soonest, or the one that the description asks for. */
export function startOrder({ startBarrier, vcpus }: MachineConfig): StartOrder {
  const processors = navigator.hardwareConcurrency;
  // With one, an isolate that starts later takes it from the guest.
  if (startBarrier || processors === 1) return "together";
  const pinned = (vcpus[0]?.pin ?? []).length > 0;
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "osRelease" });
  if (pinned || state !== "granted") return "worker-first";
  return headStartPays(Deno.osRelease()) ? "guest-first" : "worker-first";
}

/** All vCPUs, none of them running: a SIPI to one that does not exist yet would be lost. */
export function makeVcpus(parts: {
  readonly vm: Vm;
  readonly config: MachineConfig;
  readonly topology: Topology;
  readonly state: SharedState;
  /** Maps what a vCPU and we say to each other. */
  readonly mapRun: (vcpu: Vcpu) => void;
  readonly events: MachineEvents;
  readonly machine: VcpuHandleParts["machine"];
  /** Takes what is made, in order. */
  readonly stack: DisposableStack;
  /** The first one's worker, already starting. */
  readonly worker: Worker | undefined;
  /** Told when the first one begins without its worker. */
  readonly headStart: (() => void) | undefined;
}): VcpuHandle[] {
  const { vm, config, topology, state, mapRun, events, machine, stack } = parts;
  return apicIds(topology).slice(0, config.cpus).map((apicId, index) => {
    const vcpu = stack.use(
      stage("create_vcpu", `Cannot create vCPU ${index}`, () => vm.createVcpu(apicId)),
    );
    stage("mmap_vcpu", `Cannot map vCPU ${index}`, () => mapRun(vcpu));
    const offset = state.allocate(VCPU_CONTROL_SIZE, `vCPU ${index}`);
    const control = new VcpuControl(state, offset);
    const { worker, headStart } = index === 0 ? parts : {};
    const own = config.vcpus[index];
    return stack.use(new VcpuHandle({ vcpu, control, events, machine, own, worker, headStart }));
  });
}

/**
 * Makes a vCPU start where its loader says, also one that would otherwise wait for INIT and SIPI. What a processor would not
 * enter a guest with is refused here, in words: some do without a word, others with a number.
 *
 * @throws VireoError of kind `load_vcpu`
 */
export function enterAt(vcpu: Vcpu, entry: EntryState, physicalBits: number): void {
  const [broken] = checkGuestState(entry, physicalBits);
  if (broken !== undefined) {
    throw new VireoError("load_vcpu", `Cannot start vCPU ${vcpu.id} as its loader says: ${broken}`);
  }
  const { special, registers, fpu } = entry;
  vcpu.setSpecialRegisters(special);
  vcpu.setRegisters(registers);
  vcpu.setFpu(fpu);
  if (vcpu.id !== 0) vcpu.setMpState(KVM_MP_STATE_RUNNABLE);
}

/** What is wrong with a vCPU that its loader leaves waiting where no interrupt controller can start it. */
export function waitsForEver(index: number): VireoError {
  return new VireoError(
    "load_vcpu",
    `Cannot leave vCPU ${index} waiting: without interrupt controllers nothing starts it; ` +
      "let the loader start every vCPU",
  );
}
