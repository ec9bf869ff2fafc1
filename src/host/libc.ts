/**
 * The doors into libc: small groups of symbols, each opened in an isolate at its first use, since `dlopen` costs 0.1 ms a
 * symbol and isolate, and 0.02 ms for a {@linkcode cold} one. Every other module of this room turns these into functions that give a result or a negative errno.
 *
 * Rule for each caller: `errno[0]` is read in the very expression after the call. Whatever allocates in between can make V8
 * itself change errno.
 *
 * @module
 */

import { SystemError } from "../base/errors.ts";

const LIBC = "libc.so.6";

const ERRNO = {
  // int *__errno_location(void)
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const IOCTL = {
  // int ioctl(int fd, unsigned long request, void *argp)
  ioctl: { parameters: ["i32", "u32", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const WRITING = {
  // ssize_t write(int fd, const void *buf, size_t count)
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const READING = {
  // ssize_t read(int fd, void *buf, size_t count)
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const CLOSING = {
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const OPENING = {
  // int open(const char *path, int flags, mode_t mode)
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int eventfd(unsigned int initval, int flags)
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const DESCRIPTOR_FLAGS = {
  // int fcntl(int fd, int cmd, long arg)
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const PIPES = {
  // int pipe2(int fds[2], int flags)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const MAPPING = {
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const UNMAPPING = {
  // int munmap(void *addr, size_t length)
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  // int madvise(void *addr, size_t length, int advice)
  madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const TRIMMING = {
  // int malloc_trim(size_t pad)
  malloc_trim: { parameters: ["u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const LOCKING = {
  // int mlock(const void *addr, size_t length)
  mlock: { parameters: ["pointer", "usize"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const DISKS = {
  // ssize_t preadv(int fd, const struct iovec *iov, int iovcnt, off_t offset)
  preadv: { parameters: ["i32", "buffer", "i32", "i64"], result: "i32" },
  // ssize_t pwritev(int fd, const struct iovec *iov, int iovcnt, off_t offset)
  pwritev: { parameters: ["i32", "buffer", "i32", "i64"], result: "i32" },
  // int fdatasync(int fd)
  fdatasync: { parameters: ["i32"], result: "i32" },
  // int fallocate(int fd, int mode, off_t offset, off_t len)
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const FILES = {
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset)
  pread: { parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
  // int statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *buf)
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  // int ftruncate(int fd, off_t length)
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // int flock(int fd, int operation)
  flock: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const MEMORY_FILES = {
  // int memfd_create(const char *name, unsigned int flags)
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const LIMITS = {
  // int prlimit(pid_t pid, int resource, const struct rlimit *new_limit, struct rlimit *old_limit)
  prlimit: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const FILE_SYSTEMS = {
  // int fstatfs(int fd, struct statfs *buf)
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const BULK_READS = {
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset), on a thread of Deno's pool
  pread: { parameters: ["i32", "pointer", "usize", "i64"], result: "i64", nonblocking: true },
} as const satisfies Deno.ForeignLibraryInterface;

const YIELDING = {
  // int sched_yield(void), on a thread of Deno's pool
  sched_yield: { parameters: [], result: "i32", nonblocking: true },
} as const satisfies Deno.ForeignLibraryInterface;

const POLLING = {
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout)
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const EPOLL = {
  // int epoll_create1(int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const EPOLL_WAITING = {
  // int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const TIMERS = {
  // int timerfd_create(int clockid, int flags)
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" },
  // int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
  timerfd_settime: { parameters: ["i32", "i32", "buffer", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const THREADS = {
  // pid_t gettid(void)
  gettid: { parameters: [], result: "i32" },
  // int pthread_sigmask(int how, const sigset_t *set, sigset_t *old), which returns the errno itself
  pthread_sigmask: { parameters: ["i32", "buffer", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const CONTEXTS = {
  // int getcontext(ucontext_t *context)
  getcontext: { parameters: ["pointer"], result: "i32" },
  // void makecontext(ucontext_t *context, void (*function)(void), int count, ...), of up to three 64-bit values
  makecontext: {
    parameters: ["pointer", "pointer", "i32", "u64", "u64", "u64"],
    result: "void",
  },
  // int pthread_create(pthread_t *thread, const pthread_attr_t *, void *(*start)(void *), void *argument), which returns the errno
  pthread_create: { parameters: ["buffer", "pointer", "pointer", "pointer"], result: "i32" },
  // void *dlsym(void *handle, const char *name)
  dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const JOINING = {
  // int pthread_kill(pthread_t thread, int sig)
  pthread_kill: { parameters: ["u64", "i32"], result: "i32" },
  // int pthread_join(pthread_t thread, void **result)
  pthread_join: { parameters: ["u64", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const DRAINING = {
  // int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
  sigtimedwait: { parameters: ["buffer", "pointer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const NAMING = {
  // int prctl(int option, const char *name)
  prctl: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const AFFINITY = {
  // int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *mask)
  sched_setaffinity: { parameters: ["i32", "u32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const KICKS = {
  // pid_t getpid(void)
  getpid: { parameters: [], result: "i32" },
  // int tgkill(pid_t tgid, pid_t tid, int sig)
  tgkill: { parameters: ["i32", "i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const RANDOM = {
  // ssize_t getrandom(void *buf, size_t length, unsigned int flags)
  getrandom: { parameters: ["buffer", "u32", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const SOCKETS = {
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int fchmod(int fd, mode_t mode)
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  // int bind(int fd, const struct sockaddr *address, socklen_t length)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int fd, int backlog)
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int unlink(const char *path)
  unlink: { parameters: ["buffer"], result: "i32" },
  // int connect(int fd, const struct sockaddr *address, socklen_t length)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const STREAMS = {
  // int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  // ssize_t recv(int fd, void *buf, size_t length, int flags)
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // ssize_t send(int fd, const void *buf, size_t length, int flags)
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const IO_URING = {
  // long syscall(SYS_io_uring_setup, u32 entries, struct io_uring_params *params)
  io_uring_setup: { name: "syscall", parameters: ["i32", "u32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const IO_URING_ENTERING = {
  // long syscall(SYS_io_uring_enter, unsigned fd, u32 submit, u32 complete, u32 flags, sigset_t *, size_t)
  io_uring_enter: {
    name: "syscall",
    parameters: ["i32", "u32", "u32", "u32", "u32", "pointer", "u32"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of a group. */
export type Symbols<S extends Deno.ForeignLibraryInterface> = Deno.DynamicLibrary<S>["symbols"];

/**
 * The calling thread's errno, seen in place; valid from the first group's opening on. An isolate stays on one thread, so one
 * view is enough.
 */
export let errno: Int32Array = new Int32Array(1);
let errnoSeen = false;

function seeErrno(): void {
  if (errnoSeen) return;
  const location = openCold(ERRNO).__errno_location();
  // SAFETY: errno lives as long as the thread, and the isolate never leaves its thread.
  if (location) errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
  errnoSeen = true;
}

function openHot<S extends Deno.ForeignLibraryInterface>(symbols: S): Symbols<S> {
  return Deno.dlopen(LIBC, symbols).symbols;
}

/**
 * What Deno passes behind a function's own arguments, in a register that no C function looks at. A symbol with a struct among its
 * parameters gets no machine code of its own: it is opened in a fifth of the time, and each call takes some 100 ns more.
 */
const NOTHING = { struct: ["u8"] } as const;
const nothing = new Uint8Array(1);

/** Opens symbols that are called a few times, or never where time counts. */
function openCold<S extends Deno.ForeignLibraryInterface>(symbols: S): Symbols<S> {
  const padded = Object.entries(symbols as Readonly<Record<string, Deno.ForeignFunction>>)
    .map(([name, symbol]) =>
      [name, { ...symbol, parameters: [...symbol.parameters, NOTHING] }] as const
    );
  const opened = Deno.dlopen(LIBC, Object.fromEntries(padded)).symbols;
  const calls = padded.map(([name]) => {
    const symbol = opened[name] as (...values: unknown[]) => unknown;
    return [name, (...values: unknown[]) => symbol(...values, nothing)] as const;
  });
  return Object.fromEntries(calls) as Symbols<S>;
}

const OPENERS: (() => unknown)[] = [];

/** Opens a group when it is asked for, once. */
export type Opener<S extends Deno.ForeignLibraryInterface> = () => Symbols<S>;

function lazily<S extends Deno.ForeignLibraryInterface>(
  symbols: S,
  openGroup: (symbols: S) => Symbols<S>,
): Opener<S> {
  let group: Symbols<S> | undefined;
  const open = () => group ??= openFirst();
  const openFirst = () => {
    seeErrno();
    return openGroup(symbols);
  };
  OPENERS.push(open);
  return open;
}

/** For what is called with every event, or has to allocate nothing. */
const hot = <S extends Deno.ForeignLibraryInterface>(symbols: S) => lazily(symbols, openHot);
/** For all else: see {@linkcode NOTHING}. */
const cold = <S extends Deno.ForeignLibraryInterface>(symbols: S) => lazily(symbols, openCold);

/** `ioctl`. */
export const ioctlCalls: Opener<typeof IOCTL> = hot(IOCTL);
/** `write`, which is also how an eventfd is signalled. */
export const writingCalls: Opener<typeof WRITING> = hot(WRITING);
/** `read`. */
export const readingCalls: Opener<typeof READING> = hot(READING);
/** `close`. */
export const closingCalls: Opener<typeof CLOSING> = cold(CLOSING);
/** `open` and `eventfd`. */
export const openingCalls: Opener<typeof OPENING> = cold(OPENING);
/** `pipe2`. */
export const pipeCalls: Opener<typeof PIPES> = cold(PIPES);
/** `fcntl`. */
export const descriptorFlagCalls: Opener<typeof DESCRIPTOR_FLAGS> = cold(DESCRIPTOR_FLAGS);
/** `mmap`. */
export const mappingCalls: Opener<typeof MAPPING> = cold(MAPPING);
/** `munmap` and `madvise`, which a start does without. */
export const unmappingCalls: Opener<typeof UNMAPPING> = cold(UNMAPPING);
/** `malloc_trim`, once a guest is up. */
export const trimmingCalls: Opener<typeof TRIMMING> = cold(TRIMMING);
/** `mlock`, for machines that ask for it. */
export const lockingCalls: Opener<typeof LOCKING> = cold(LOCKING);
/** What a disk does without io_uring. */
export const diskCalls: Opener<typeof DISKS> = hot(DISKS);
/** What a file is, its size, its locks, and what is in it at an offset. */
export const fileCalls: Opener<typeof FILES> = cold(FILES);
/** `memfd_create`. */
export const memoryFileCalls: Opener<typeof MEMORY_FILES> = cold(MEMORY_FILES);
/** `prlimit`, for a process that has few descriptors. */
export const limitCalls: Opener<typeof LIMITS> = cold(LIMITS);
/** `fstatfs`. */
export const fileSystemCalls: Opener<typeof FILE_SYSTEMS> = cold(FILE_SYSTEMS);
/** `pread` that does not block its isolate. */
export const bulkReadCalls: Opener<typeof BULK_READS> = hot(BULK_READS);
/** `sched_yield` that does not block its isolate: the least that comes back by way of the event loop. */
export const yieldingCalls: Opener<typeof YIELDING> = hot(YIELDING);
/** `poll`. */
export const pollingCalls: Opener<typeof POLLING> = cold(POLLING);
/** `epoll_create1` and `epoll_ctl`. */
export const epollCalls: Opener<typeof EPOLL> = cold(EPOLL);
/** `epoll_wait`. */
export const epollWaitingCalls: Opener<typeof EPOLL_WAITING> = hot(EPOLL_WAITING);
/** `timerfd`. */
export const timerCalls: Opener<typeof TIMERS> = cold(TIMERS);
/** What a thread does to itself before it runs a vCPU. */
export const threadCalls: Opener<typeof THREADS> = cold(THREADS);
/** What starts a thread in a function of libc. */
export const contextCalls: Opener<typeof CONTEXTS> = cold(CONTEXTS);
/** What ends such a thread. */
export const joiningCalls: Opener<typeof JOINING> = cold(JOINING);
/** `sigtimedwait`, needed at the first kick. */
export const drainingCalls: Opener<typeof DRAINING> = hot(DRAINING);
/** `prctl`. */
export const namingCalls: Opener<typeof NAMING> = cold(NAMING);
/** `sched_setaffinity`. */
export const affinityCalls: Opener<typeof AFFINITY> = cold(AFFINITY);
/** `tgkill` and what it needs. */
export const kickCalls: Opener<typeof KICKS> = hot(KICKS);
/** `getrandom`. */
export const randomCalls: Opener<typeof RANDOM> = cold(RANDOM);
/** What makes sockets. */
export const socketCalls: Opener<typeof SOCKETS> = cold(SOCKETS);
/** `send`, `recv` and `accept4`. */
export const streamCalls: Opener<typeof STREAMS> = hot(STREAMS);
/** `io_uring_setup`. */
export const ioUringCalls: Opener<typeof IO_URING> = cold(IO_URING);
/** `io_uring_enter`. */
export const ioUringEnteringCalls: Opener<typeof IO_URING_ENTERING> = hot(IO_URING_ENTERING);

/**
 * Opens every group at once, for test files: `deno test` counts a library that is first opened inside a test as that
 * test's leak.
 */
export function openAllGroups(): void {
  for (const open of OPENERS) open();
}

/**
 * Passes a result through, and throws {@linkcode SystemError} for a negative errno.
 *
 * @param syscall name for the message, `preadv` or `ioctl(KVM_CREATE_VM)`
 * @param result a result, or a negative errno
 * @param context what was being done and to what: `Cannot map disk "a.img"`
 */
export function check(syscall: string, result: number, context?: string): number {
  if (result < 0) throw new SystemError(syscall, -result, context);
  return result;
}

/** A path or name as the bytes C wants, NUL at the end. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`Cannot use ${JSON.stringify(text)}: it holds NUL`);
  return new TextEncoder().encode(text + "\0");
}
