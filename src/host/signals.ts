/**
 * Signals to this process.
 *
 * @module
 */

import { SIGHUP, SIGINT, SIGTERM } from "../abi/linux.ts";

/** Signals that ask a program to end, by their numbers and in their order. */
export const END_SIGNALS = { SIGHUP, SIGINT, SIGTERM } as const;

/** One of {@linkcode END_SIGNALS}. */
export type EndSignal = keyof typeof END_SIGNALS;

/** Calls `heard` for each such signal, in place of what it does by default, until the result is disposed. */
export function onSignal(signal: Deno.Signal, heard: () => void): Disposable {
  Deno.addSignalListener(signal, heard);
  return { [Symbol.dispose]: () => Deno.removeSignalListener(signal, heard) };
}
