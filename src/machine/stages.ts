/**
 * The stages of building a machine: each failure says at which of them it happened, and keeps its cause.
 *
 * @module
 */

import { type ErrorKind, errorText, VireoError } from "../base/errors.ts";

/**
 * Runs one stage; what it throws comes out as a {@linkcode VireoError} of the stage's kind, with the original as `cause`.
 * An error that already is of that kind goes through as it is, and so does one of kind `config`: what is wrong is the
 * description, wherever it shows.
 *
 * @param kind the stage
 * @param what what could not be done if it fails: `Cannot create vCPU 3`
 * @param work the stage's work, with or without a promise
 */
export function stage<T>(kind: ErrorKind, what: string, work: () => T): T {
  try {
    const result = work();
    if (!(result instanceof Promise)) return result;
    return result.catch((error) => rethrow(kind, what, error)) as T;
  } catch (error) {
    return rethrow(kind, what, error);
  }
}

function rethrow(kind: ErrorKind, what: string, error: unknown): never {
  if (error instanceof VireoError && (error.kind === kind || error.kind === "config")) throw error;
  throw new VireoError(kind, `${what}: ${errorText(error)}`, { cause: error });
}
