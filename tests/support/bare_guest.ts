/**
 * The least that runs code: a VM, a piece of memory from address 0 and one vCPU, driven from the test's own isolate by this
 * room's ioctls alone.
 *
 * @module
 */

import { KVM_PIT_SPEAKER_DUMMY } from "../../src/abi/kvm.ts";
import { pvhEntry, realModeEntry } from "../../src/arch/x86_64/registers.ts";
import { Mapping } from "../../src/host/mapping.ts";
import type { Exit } from "../../src/kvm/exit.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import type { Vcpu } from "../../src/kvm/vcpu.ts";
import type { Vm } from "../../src/kvm/vm.ts";
import { Assembler, CODE_ADDRESS } from "./tiny_guest.ts";

/** What a bare guest has besides its code. */
export interface BareGuestOptions {
  /** Bytes of memory from 0 on. */
  readonly memorySize?: number;
  /** The kernel's interrupt controllers: HLT no longer exits. */
  readonly irqchip?: boolean;
  /** Start in real mode instead of 32-bit protected mode. */
  readonly realMode?: boolean;
  /** Keep a bitmap of written pages. */
  readonly logDirty?: boolean;
}

/** The guest. */
export class BareGuest implements Disposable {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly ram: Mapping;
  /** All of the memory. */
  readonly memory: Uint8Array;
  readonly #stack = new DisposableStack();

  /** @param code at {@linkcode CODE_ADDRESS}, where the vCPU starts */
  constructor(code: Assembler | readonly number[], options: BareGuestOptions = {}) {
    using stack = new DisposableStack();
    const size = options.memorySize ?? 0x10000;
    this.ram = stack.use(Mapping.anonymous(size, { noReserve: true }));
    this.memory = new Uint8Array(this.ram.buffer());
    this.memory.set(code instanceof Assembler ? code.assemble() : code, CODE_ADDRESS);
    this.kvm = stack.use(Kvm.open());
    this.vm = stack.use(this.kvm.createVm());
    this.vm.setTssAddress(0xfffbd000);
    this.vm.setIdentityMapAddress(0xfffbc000);
    if (options.irqchip) {
      this.vm.createIrqchip();
      this.vm.createPit(KVM_PIT_SPEAKER_DUMMY);
    }
    const logDirty = options.logDirty ?? false;
    const hostAddress = this.ram.address;
    this.vm.setMemoryRegion({ slot: 0, guestAddress: 0, size, hostAddress, logDirty });
    this.vcpu = stack.use(this.vm.createVcpu(0));
    const runSize = this.kvm.vcpuMapSize();
    this.vcpu.mapRun(runSize, this.vm.ringOffset(runSize));
    const entry = options.realMode ? realModeEntry(0, CODE_ADDRESS) : pvhEntry(CODE_ADDRESS, 0);
    this.vcpu.setSpecialRegisters(entry.special);
    this.vcpu.setRegisters(entry.registers);
    this.#stack.use(stack.move());
  }

  /** Runs to the next exit, over signals of the host. */
  run(): Exit {
    for (;;) {
      const result = this.vcpu.run();
      if (result === 0) return this.vcpu.exit;
      if (result !== -4) throw new Error(`KVM_RUN gave ${result}`);
    }
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }
}
