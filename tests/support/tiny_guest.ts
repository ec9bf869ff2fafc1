/**
 * Tiny guests: a few instructions of 32-bit code in flat protected mode, assembled by name. Integer instructions only, so
 * that they run on a paravirtual KVM as well.
 *
 * @module
 */

import { pvhEntry } from "../../src/arch/x86_64/registers.ts";
import type { Loader } from "../../src/machine/loader.ts";

/** Where tiny guests lie; each vCPU's code gets a page. */
export const CODE_ADDRESS = 0x1000;

/** Assembles 32-bit instructions, one method each. */
export class Assembler {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { readonly at: number; readonly label: string }[] = [];

  /** Raw bytes. */
  bytes(...values: number[]): this {
    this.#bytes.push(...values);
    return this;
  }

  /** `mov eax, value`. */
  eax(value: number): this {
    return this.bytes(0xb8).#u32(value);
  }

  /** `mov ecx, value`. */
  ecx(value: number): this {
    return this.bytes(0xb9).#u32(value);
  }

  /** `mov edx, port; out dx, al|ax|eax`. */
  out(port: number, size: 1 | 2 | 4 = 1): this {
    this.bytes(0xba).#u32(port);
    if (size === 2) this.bytes(0x66);
    return this.bytes(size === 1 ? 0xee : 0xef);
  }

  /** `mov edx, port; in al|ax|eax, dx`. */
  in(port: number, size: 1 | 2 | 4 = 1): this {
    this.bytes(0xba).#u32(port);
    if (size === 2) this.bytes(0x66);
    return this.bytes(size === 1 ? 0xec : 0xed);
  }

  /** `mov [address], al|ax|eax`. */
  store(address: number, size: 1 | 2 | 4 = 4): this {
    if (size === 2) this.bytes(0x66);
    return this.bytes(size === 1 ? 0xa2 : 0xa3).#u32(address);
  }

  /** `mov al|ax|eax, [address]`. */
  load(address: number, size: 1 | 2 | 4 = 4): this {
    if (size === 2) this.bytes(0x66);
    return this.bytes(size === 1 ? 0xa0 : 0xa1).#u32(address);
  }

  /** `inc dword [address]`, with a lock prefix. */
  lockInc(address: number): this {
    return this.bytes(0xf0, 0xff, 0x05).#u32(address);
  }

  /** `cmp al, value`. */
  compareAl(value: number): this {
    return this.bytes(0x3c, value);
  }

  /** `cmp eax, value`. */
  compareEax(value: number): this {
    return this.bytes(0x3d).#u32(value);
  }

  /** A name for the next instruction. */
  label(name: string): this {
    this.#labels.set(name, this.#bytes.length);
    return this;
  }

  /** `jmp label`. */
  jump(label: string): this {
    return this.bytes(0xe9).#relative(label);
  }

  /** `je label`. */
  jumpEqual(label: string): this {
    return this.bytes(0x0f, 0x84).#relative(label);
  }

  /** `jne label`. */
  jumpNotEqual(label: string): this {
    return this.bytes(0x0f, 0x85).#relative(label);
  }

  /** `dec ecx; jnz label`. */
  loop(label: string): this {
    return this.bytes(0x49).jumpNotEqual(label);
  }

  /** `jmp` to itself. */
  spin(): this {
    return this.bytes(0xeb, 0xfe);
  }

  /** `cli; hlt`. */
  halt(): this {
    return this.bytes(0xfa, 0xf4);
  }

  /** The code, with all jumps resolved. */
  assemble(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new RangeError(`No label ${label}`);
      view.setInt32(at, target - (at + 4), true);
    }
    return code;
  }

  #u32(value: number): this {
    for (let i = 0; i < 4; i++) this.#bytes.push(Math.trunc(value / 2 ** (8 * i)) % 256);
    return this;
  }

  #relative(label: string): this {
    this.#jumps.push({ at: this.#bytes.length, label });
    return this.#u32(0);
  }
}

/**
 * A loader of tiny guests.
 *
 * @param codes code of each vCPU; vCPUs beyond them wait for a SIPI that never comes
 */
export function tinyLoader(...codes: readonly (Uint8Array | Assembler)[]): Loader {
  return {
    loadMemory(_info, memory) {
      codes.forEach((code, i) => {
        const bytes = code instanceof Assembler ? code.assemble() : code;
        memory.write(CODE_ADDRESS * (i + 1), bytes);
      });
    },
    loadVcpu(_info, index) {
      return index < codes.length ? pvhEntry(CODE_ADDRESS * (index + 1), 0) : undefined;
    },
  };
}
