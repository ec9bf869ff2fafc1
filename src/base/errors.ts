/**
 * The errors Vireo throws. Every message says what could not be done, to what, why, and what to do next; `kind` is stable
 * and meant for programs.
 *
 * @module
 */

/**
 * What went wrong, as a stable name. Those up to `load_vcpu` are the stages of building a machine; `closed` is use after close;
 * `platform` an operating system or processor that there is no hypervisor for; `launch` a process that did not get ready;
 * `system` a call of the host's kernel; `guest` what the guest or its files did; `range` an address, size, number or name that is
 * none; `unsupported` what cannot be done now, or at all; `environment` something that this host lacks, from a file to its
 * network; `device` a device of the program's own that cannot be made, or has failed; `internal` our own fault.
 */
export type ErrorKind =
  | "open"
  | "compat"
  | "config"
  | "vcpu_mmap_size"
  | "create"
  | "setup"
  | "alloc_memory"
  | "setup_memory"
  | "load_memory"
  | "set_user_memory_region"
  | "create_vcpu"
  | "mmap_vcpu"
  | "setup_vcpu"
  | "load_vcpu"
  | "closed"
  | "platform"
  | "launch"
  | "system"
  | "guest"
  | "range"
  | "unsupported"
  | "environment"
  | "device"
  | "internal";

/** Base of every error that Vireo throws on purpose. */
export class VireoError extends Error {
  /** Stable name of what went wrong. */
  readonly kind: ErrorKind;

  /**
   * An error of one kind.
   *
   * @param kind stable name of what went wrong
   * @param message what could not be done, why, and what to do next
   * @param options `cause`: the error this one explains
   */
  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.kind = kind;
  }
}

/** A system call failed. */
export class SystemError extends VireoError {
  /** Name of the call, `ioctl(KVM_RUN)` or `open`. */
  readonly syscall: string;
  /** Positive errno of Linux. */
  readonly errno: number;

  /**
   * The failure of one call.
   *
   * @param syscall name of the call
   * @param errno positive errno
   * @param context what was being done and to what: `Cannot open "/dev/kvm"`
   */
  constructor(syscall: string, errno: number, context = "System call failed") {
    super("system", `${context}: ${syscall}: ${errnoText(errno)}`);
    this.syscall = syscall;
    this.errno = errno;
  }

  /** The errno's C name, `ENOENT`, or `errno 133` for one without a name here. */
  get code(): string {
    return ERRNO[this.errno]?.[0] ?? `errno ${this.errno}`;
  }
}

/** The machine's description is wrong. */
export class ConfigError extends VireoError {
  /** Where: a key path such as `memory.size`, or an option such as `--cpus`. */
  readonly path: string;
  /** What is wrong there and what is allowed: the message without the path. */
  readonly problem: string;

  /**
   * What is wrong at one place.
   *
   * @param path key path or option
   * @param problem what is wrong with it and what is allowed
   */
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super("config", `${path}: ${problem}`, options);
    this.path = path;
    this.problem = problem;
  }
}

/** A process that was started did not get ready. */
export class LaunchError extends VireoError {
  /** Its exit status; 128 and the signal's number for one that a signal ended. */
  readonly code: number;
  /** What it said. */
  readonly stderr: string;

  /**
   * A process' early end.
   *
   * @param code its exit status
   * @param stderr what it said
   */
  constructor(code: number, stderr: string) {
    const said = stderr.trim() === "" ? "it said nothing" : stderr.trim();
    super("launch", `The machine's process ended with status ${code} before it was ready: ${said}`);
    this.code = code;
    this.stderr = stderr;
  }
}

/** The guest, or something it handed us, did what no machine can go on from. */
export class GuestError extends VireoError {
  /**
   * A guest's fault.
   *
   * @param message what the guest did, with exit name, suberror and rip where there are any
   */
  constructor(message: string, options?: ErrorOptions) {
    super("guest", message, options);
  }
}

/** The errno numbers of x86-64 Linux that our calls can give, with name and meaning. */
const ERRNO: Record<number, readonly [name: string, meaning: string]> = {
  1: ["EPERM", "operation not permitted"],
  2: ["ENOENT", "no such file or directory"],
  3: ["ESRCH", "no such process"],
  4: ["EINTR", "interrupted"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  7: ["E2BIG", "list too long"],
  9: ["EBADF", "bad file descriptor"],
  11: ["EAGAIN", "try again"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "busy"],
  17: ["EEXIST", "exists already"],
  19: ["ENODEV", "no such device"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files on the system"],
  24: ["EMFILE", "too many open files, see `ulimit -n`"],
  25: ["ENOTTY", "not supported by this descriptor"],
  26: ["ETXTBSY", "text file busy"],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left on device"],
  29: ["ESPIPE", "cannot seek"],
  30: ["EROFS", "read-only file system"],
  32: ["EPIPE", "broken pipe"],
  38: ["ENOSYS", "not implemented by this kernel"],
  62: ["ETIME", "timer expired"],
  75: ["EOVERFLOW", "value too large"],
  95: ["EOPNOTSUPP", "operation not supported"],
  110: ["ETIMEDOUT", "timed out"],
  111: ["ECONNREFUSED", "connection refused"],
};

/** `ENOENT (no such file or directory)` for an errno. */
export function errnoText(errno: number): string {
  const known = ERRNO[errno];
  return known ? `${known[0]} (${known[1]})` : `errno ${errno}`;
}

/** What is said where our stdout takes no more, and why. */
export function stdoutText(why: string): string {
  return `Cannot write to stdout: ${why}; see that its disk has room and its reader reads on`;
}

/** The error's own text, or whatever was thrown as text. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The error's own text without the place that a {@linkcode ConfigError} begins with. */
export function problemText(error: unknown): string {
  return error instanceof ConfigError ? error.problem : errorText(error);
}
