/**
 * The hypervisor of this host, asked once what it is and what it can do.
 *
 * @module
 */

import { VireoError } from "../base/errors.ts";
import { Kvm, type KvmOptions } from "../kvm/kvm.ts";
import type { Machine } from "../machine/machine.ts";
import { createMachine, type MachineOptions } from "./create_machine.ts";
import type { MachineSource } from "./machine_source.ts";

/** An opened hypervisor. Machines made with it go on after its close. */
export class Hypervisor implements Disposable {
  /** The processors of its machines. */
  readonly architecture = "x86_64";
  readonly #kvm: Kvm;
  #closed = false;

  private constructor(kvm: Kvm) {
    this.#kvm = kvm;
  }

  /**
   * Opens it and sees that it can do what every machine needs.
   *
   * @throws VireoError of kind `platform` where there is none for this operating system and processor, `open` where it cannot be
   *   opened, `compat` where it lacks something
   */
  static open(options: KvmOptions = {}): Hypervisor {
    using stack = new DisposableStack();
    const kvm = stack.use(Kvm.open(options));
    kvm.requireCompatible();
    stack.move();
    return new Hypervisor(kvm);
  }

  /**
   * A capability's value, 0 where it is absent.
   *
   * @param name of `linux/kvm.h` without `KVM_CAP_`: `IRQFD`, `DirtyLog`
   * @throws VireoError of kind `unsupported` for an unknown name, `closed` after close
   */
  check(name: string): number {
    return this.#kvm.check(name);
  }

  /** As {@linkcode createMachine}; rejects with kind `closed` after close. */
  async createMachine(source: MachineSource, options: MachineOptions = {}): Promise<Machine> {
    if (this.#closed) {
      throw new VireoError("closed", "Cannot use a hypervisor after its close; open it again");
    }
    return await createMachine(source, { driver: this.#kvm.driver, ...options });
  }

  /** Closes it; a second time does nothing. */
  close(): void {
    this.#closed = true;
    this.#kvm[Symbol.dispose]();
  }

  /** Closes it, as {@linkcode Hypervisor.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
