/**
 * The stages of building a machine: each failure says at which of them it happened, and keeps its cause.
 *
 * @module
 */

import {
  EACCES,
  EINVAL,
  EMFILE,
  ENFILE,
  ENOMEM,
  ENOSYS,
  ENOTTY,
  EOPNOTSUPP,
  EPERM,
} from "../abi/linux.ts";
import { type ErrorKind, errorText, SystemError, VireoError } from "../base/errors.ts";

const TOO_OLD = "this kernel's KVM does not know it: `vireo doctor` says what it lacks";

/** What to do about what the kernel said, whichever call it was. */
const REMEDIES: Readonly<Record<number, string>> = {
  [EMFILE]: "raise the limit of open files, `ulimit -n`",
  [ENFILE]: "raise the system's limit of open files, `sysctl fs.file-max`",
  [ENOMEM]:
    "free memory on this host, raise the limit `ulimit -v`, or give the guest less memory " +
    "(--memory, memory.size)",
  [EPERM]: "see that no container, seccomp filter or security module forbids it",
  [EACCES]: "see that no container, seccomp filter or security module forbids it",
  [EINVAL]: "this host's KVM does not take it: `vireo doctor` says what it can do",
  [ENOSYS]: TOO_OLD,
  [ENOTTY]: TOO_OLD,
  [EOPNOTSUPP]: TOO_OLD,
};

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
  const text = errorText(error);
  const said = text.startsWith(what) ? text : `${what}: ${text}`;
  throw new VireoError(kind, said + remedyFor(error, text), { cause: error });
}

/** What to do next, where the error does not say it itself, which it does behind a semicolon. */
function remedyFor(error: unknown, text: string): string {
  if (!(error instanceof VireoError)) {
    return "; this is a fault of Vireo's, or of the loader or hook it was given";
  }
  const system = systemErrorIn(error);
  if (system === undefined || text.includes("; ")) return "";
  const otherwise = "see `dmesg | grep -i kvm` and what `vireo doctor` says";
  return `; ${REMEDIES[system.errno] ?? otherwise}`;
}

/** The failed call behind an error. */
function systemErrorIn(error: unknown): SystemError | undefined {
  if (error instanceof SystemError) return error;
  return error instanceof Error ? systemErrorIn(error.cause) : undefined;
}
