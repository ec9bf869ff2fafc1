/**
 * The thread under an isolate, and the signal that kicks a vCPU out of KVM_RUN.
 *
 * The kick's signal is blocked in the vCPU's thread and open only inside KVM_RUN (KVM_SET_SIGNAL_MASK): KVM_RUN comes back with
 * EINTR, the signal stays pending, and the thread drains it. No handler ever runs. A kick between two runs is caught by
 * kvm_run's immediate_exit, which the kicker sets first.
 *
 * @module
 */

import {
  EAGAIN,
  KERNEL_SIGSET_SIZE,
  O_CLOEXEC,
  O_RDONLY,
  PR_SET_NAME,
  SIG_BLOCK,
  SIG_SETMASK,
  SIGSET_SIZE,
  Timespec,
} from "../abi/linux.ts";
import { sizeof } from "../base/struct.ts";
import { closeNumber, openPath } from "./fd.ts";
import { read } from "./file.ts";
import {
  affinityCalls,
  check,
  cString,
  drainingCalls,
  errno,
  kickCalls,
  namingCalls,
  threadCalls,
} from "./libc.ts";

/** The realtime signal of kicks: Deno leaves all from 34 on alone. */
export const KICK_SIGNAL = 34;

/** Signals that tell of this thread's own faults: blocked or not, they end the process, so they stay open. */
const FAULT_SIGNALS = [4, 5, 7, 8, 11];

/** Bytes of a line of /proc/…/stat that hold a thread's name and state. */
const STAT_SIZE = 64;

const kickSet = signalSet([KICK_SIGNAL], SIGSET_SIZE);
const atOnce = new Uint8Array(sizeof(Timespec));
let processId = 0;

/** The calling thread's id; an isolate keeps its thread for life. */
export function threadId(): number {
  return threadCalls().gettid();
}

/** Blocks the kick's signal in the calling thread; before its id is told to anybody, since the signal's default is to kill. */
export function blockKicks(): void {
  const result = threadCalls().pthread_sigmask(SIG_BLOCK, kickSet, null);
  check("pthread_sigmask", -result, "Cannot block the kick's signal");
}

/** Does something with all of the calling thread's signals blocked but those of its own faults. */
export function withoutSignals<T>(work: () => T): T {
  const calls = threadCalls();
  const old = new Uint8Array(SIGSET_SIZE);
  const all = signalSet(FAULT_SIGNALS, SIGSET_SIZE).map((byte) => 255 - byte);
  const result = calls.pthread_sigmask(SIG_BLOCK, all, Deno.UnsafePointer.of(old));
  check("pthread_sigmask", -result, "Cannot block signals");
  try {
    return work();
  } finally {
    calls.pthread_sigmask(SIG_SETMASK, old, null);
  }
}

/**
 * Kicks a thread of this process that has called {@linkcode blockKicks}: 0 or a negative errno, `-ESRCH` when it has ended.
 * Allocates nothing.
 */
export function kickThread(thread: number): number {
  const calls = kickCalls();
  if (processId === 0) processId = calls.getpid();
  const result = calls.tgkill(processId, thread, KICK_SIGNAL);
  return result < 0 ? -(errno[0] ?? 0) : result;
}

/** Takes the kicks that are pending for the calling thread; returns how many there were. Allocates nothing. */
export function drainKicks(): number {
  const calls = drainingCalls();
  for (let count = 0;; count++) {
    const result = calls.sigtimedwait(kickSet, null, atOnce);
    const error = result < 0 ? errno[0] ?? 0 : 0;
    if (error === EAGAIN) return count;
  }
}

/** Whether a thread of this process waits for something: one that runs, a guest too, does not. True where nobody can tell. */
export function threadSleeps(thread: number): boolean {
  const fd = openPath(`/proc/self/task/${thread}/stat`, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  const bytes = new Uint8Array(STAT_SIZE);
  const count = read(fd, bytes);
  closeNumber(fd);
  const text = String.fromCharCode(...bytes.subarray(0, Math.max(0, count)));
  // The name before it may hold anything.
  const state = text[text.lastIndexOf(")") + 2];
  return state !== "R" && state !== "D";
}

/** The mask for KVM_SET_SIGNAL_MASK: inside KVM_RUN only kicks and faults come through; other threads take the rest. */
export function runSignalMask(): Uint8Array {
  return signalSet([KICK_SIGNAL, ...FAULT_SIGNALS], KERNEL_SIGSET_SIZE).map((byte) => 255 - byte);
}

/** Names the calling thread, for `ps -L` and `top -H`; 15 bytes count. */
export function nameThread(name: string): void {
  namingCalls().prctl(PR_SET_NAME, cString(name.slice(0, 15)));
}

/** Keeps the calling thread on some of the host's processors, numbered from 0. */
export function pinThread(processors: readonly number[]): void {
  const mask = new Uint8Array(128);
  for (const processor of processors) setBit(mask, processor);
  const result = affinityCalls().sched_setaffinity(0, mask.length, mask);
  const context = `Cannot run on processors ${processors.join(", ")}`;
  if (result < 0) check("sched_setaffinity", -(errno[0] ?? 0), context);
}

function signalSet(signals: readonly number[], size: number): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(size);
  for (const signal of signals) setBit(set, signal - 1);
  return set;
}

function setBit(bytes: Uint8Array, bit: number): void {
  const at = Math.floor(bit / 8);
  bytes[at] = (bytes[at] ?? 0) | 2 ** (bit % 8);
}
