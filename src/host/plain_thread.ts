/**
 * A thread without an isolate, which makes one call of libc and ends. It may block, and a kick may cut it short: whoever started it
 * knows which thread it is, which nobody does of those that make the FFI's `nonblocking` calls.
 *
 * No code of ours runs in it: `pthread_create` starts it in `setcontext(3)`, which enters the call by way of `makecontext(3)`, and
 * the context behind that one is `pthread_exit`.
 *
 * @module
 */

import { StackT, UcontextT } from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";
import { check, contextCalls, cString, joiningCalls } from "./libc.ts";
import { Mapping, pointer } from "./mapping.ts";
import { KICK_SIGNAL, withoutSignals } from "./thread.ts";

/** A call: the function's name, and its arguments as C passes them in registers. */
export type PlainCall = readonly [name: string, first: number, second: number, third: number];

/** Bytes of each context's stack: for a system call's wrapper, or for `pthread_exit`, which unwinds it. */
const STACK_SIZE = 65536;

/** A context and its stack behind it, on pages of their own. */
const SLOT_SIZE = 4096 + STACK_SIZE;

/** A thread that makes a call, or has made it. */
export class PlainThread implements Disposable {
  /** Its `pthread_t`: any isolate of the process may {@linkcode endThread} it, one of them. */
  readonly id: bigint;
  readonly #stacks: Mapping;

  private constructor(id: bigint, stacks: Mapping) {
    this.id = id;
    this.#stacks = stacks;
  }

  /**
   * Starts a thread that makes a call, with all signals blocked but those of its own faults. What the call returns is lost.
   *
   * @throws SystemError where the process may have no more threads or memory
   */
  static start(call: PlainCall): PlainThread {
    const stacks = Mapping.anonymous(2 * SLOT_SIZE);
    try {
      return new PlainThread(withoutSignals(() => start(stacks, call)), stacks);
    } catch (error) {
      stacks[Symbol.dispose]();
      throw error;
    }
  }

  /** Frees its stacks, after {@linkcode endThread}. */
  [Symbol.dispose](): void {
    this.#stacks[Symbol.dispose]();
  }
}

/**
 * Kicks a thread and waits until its call has come back and it has ended. A kick cuts KVM_RUN short, and no other call. A thread is
 * ended once.
 *
 * @param id of a {@linkcode PlainThread}
 */
export function endThread(id: bigint): void {
  const calls = joiningCalls();
  const context = "Cannot end a thread";
  check("pthread_kill", -calls.pthread_kill(id, KICK_SIGNAL), context);
  check("pthread_join", -calls.pthread_join(id, null), context);
}

function start(stacks: Mapping, call: PlainCall): bigint {
  const end = prepare(stacks, SLOT_SIZE, ["pthread_exit", 0, 0, 0], 0);
  const begin = prepare(stacks, 0, call, end);
  const id = new BigUint64Array(1);
  const calls = contextCalls();
  const result = calls.pthread_create(id, null, codeOf("setcontext"), pointer(begin));
  check("pthread_create", -result, "Cannot start a thread");
  return id[0] ?? 0n;
}

/** Makes a context at `slot` that makes a call and then goes on with the context at the address `link`; gives its own address. */
function prepare(stacks: Mapping, slot: number, call: PlainCall, link: number): number {
  const calls = contextCalls();
  const address = stacks.address + slot;
  // SAFETY: the slot is inside the mapping, which the caller keeps until the thread has ended.
  const context = pointer(address);
  calls.getcontext(context);
  const view = new DataView(stacks.buffer(), slot, sizeof(UcontextT));
  view.setBigUint64(UcontextT.uc_link, BigInt(link), true);
  const stack = UcontextT.uc_stack;
  view.setBigUint64(stack + StackT.ss_sp, BigInt(address + SLOT_SIZE - STACK_SIZE), true);
  view.setBigUint64(stack + StackT.ss_size, BigInt(STACK_SIZE), true);
  const [name, first, second, third] = call;
  const values = [BigInt(first), BigInt(second), BigInt(third)] as const;
  calls.makecontext(context, codeOf(name), values.length, ...values);
  return address;
}

/** Where a function of libc is. */
function codeOf(name: string): Deno.PointerValue {
  return contextCalls().dlsym(null, cString(name));
}
