/**
 * A vCPU's registers by name.
 *
 * @module
 */

import type { Registers, SpecialRegisters } from "../abi/x86.ts";
import { VireoError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import type { Vcpu } from "./vcpu.ts";

/** The sixteen general registers, instruction pointer and flags (SDM vol. 1 §3.4). */
const GENERAL = [
  ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] as const,
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"] as const,
] as const satisfies readonly (keyof Registers)[];

/** Control registers, EFER and the local APIC's base (SDM vol. 3A §2.5, §2.2.1). */
const CONTROL = ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"] as const satisfies (
  readonly (keyof SpecialRegisters)[]
);

/** Every name, in order. */
export const REGISTER_NAMES = [...GENERAL, ...CONTROL] as const;

/** A register's name, in lower case. */
export type RegisterName = typeof REGISTER_NAMES[number];

/** Registers by name, each an unsigned 64-bit value. */
export type RegisterValues = { readonly [name in RegisterName]: bigint };

/** All of them. */
export function readRegisters(vcpu: Vcpu): RegisterValues {
  const [general, special] = [vcpu.registers(), vcpu.specialRegisters()];
  const entries = [
    ...GENERAL.map((name) => [name, general[name]]),
    ...CONTROL.map((name) => [name, special[name]]),
  ];
  return Object.fromEntries(entries);
}

/**
 * Sets some of them; the others stay. Nothing is set where a name or a value is wrong.
 *
 * @throws VireoError of kind `unsupported` for an unknown name, of kind `range` for what is no unsigned 64-bit value
 */
export function writeRegisters(
  vcpu: Vcpu,
  values: Readonly<Partial<Record<RegisterName, bigint>>>,
): void {
  for (const [name, value] of Object.entries(values)) check(name, value);
  if (GENERAL.some((name) => Object.hasOwn(values, name))) {
    vcpu.setRegisters({ ...vcpu.registers(), ...only(GENERAL, values) });
  }
  if (CONTROL.some((name) => Object.hasOwn(values, name))) {
    vcpu.setSpecialRegisters({ ...vcpu.specialRegisters(), ...only(CONTROL, values) });
  }
}

function only(names: readonly RegisterName[], values: Readonly<Record<string, bigint>>) {
  return Object.fromEntries(Object.entries(values).filter(([name]) => isOneOf(names, name)));
}

function isOneOf(names: readonly string[], name: string): boolean {
  return names.includes(name);
}

function check(name: string, value: unknown): void {
  if (!isOneOf(REGISTER_NAMES, name)) {
    const near = nearest(name, REGISTER_NAMES);
    throw new VireoError(
      "unsupported",
      `Cannot set register "${name}": there is none of that name; ` +
        (near === undefined ? `use ${REGISTER_NAMES.join(", ")}` : `did you mean ${near}?`),
    );
  }
  if (typeof value === "bigint" && value === BigInt.asUintN(64, value)) return;
  throw new VireoError(
    "range",
    `Cannot set ${name} to ${String(value)}; give a bigint from 0n to 2n ** 64n - 1n`,
  );
}
