/**
 * The doors into libc: small groups of symbols, each opened in an isolate at its first use, since `dlopen` costs 0.09 ms a
 * symbol and isolate. Every other module of this room turns these into functions that give a result or a negative errno.
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

const POLLING = {
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout)
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const EPOLL = {
  // int epoll_create1(int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
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

function openGroup<S extends Deno.ForeignLibraryInterface>(symbols: S): Symbols<S> {
  if (!errnoSeen) {
    const location = Deno.dlopen(LIBC, ERRNO).symbols.__errno_location();
    // SAFETY: errno lives as long as the thread, and the isolate never leaves its thread.
    if (location) errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
    errnoSeen = true;
  }
  return Deno.dlopen(LIBC, symbols).symbols;
}

const OPENERS: (() => unknown)[] = [];

/** Opens a group when it is asked for, once. */
export type Opener<S extends Deno.ForeignLibraryInterface> = () => Symbols<S>;

function lazily<S extends Deno.ForeignLibraryInterface>(symbols: S): Opener<S> {
  let group: Symbols<S> | undefined;
  const open = () => group ??= openGroup(symbols);
  OPENERS.push(open);
  return open;
}

/** `ioctl`. */
export const ioctlCalls: Opener<typeof IOCTL> = lazily(IOCTL);
/** `write`, which is also how an eventfd is signalled. */
export const writingCalls: Opener<typeof WRITING> = lazily(WRITING);
/** `read` and `close`. */
export const readingCalls: Opener<typeof READING> = lazily(READING);
/** `open` and `eventfd`. */
export const openingCalls: Opener<typeof OPENING> = lazily(OPENING);
/** `pipe2`. */
export const pipeCalls: Opener<typeof PIPES> = lazily(PIPES);
/** `fcntl`. */
export const descriptorFlagCalls: Opener<typeof DESCRIPTOR_FLAGS> = lazily(DESCRIPTOR_FLAGS);
/** `mmap`. */
export const mappingCalls: Opener<typeof MAPPING> = lazily(MAPPING);
/** `munmap` and `madvise`, which a start does without. */
export const unmappingCalls: Opener<typeof UNMAPPING> = lazily(UNMAPPING);
/** `malloc_trim`, once a guest is up. */
export const trimmingCalls: Opener<typeof TRIMMING> = lazily(TRIMMING);
/** `mlock`, for machines that ask for it. */
export const lockingCalls: Opener<typeof LOCKING> = lazily(LOCKING);
/** What a disk does without io_uring. */
export const diskCalls: Opener<typeof DISKS> = lazily(DISKS);
/** What a file is, its size, its locks, and what is in it at an offset. */
export const fileCalls: Opener<typeof FILES> = lazily(FILES);
/** `memfd_create`. */
export const memoryFileCalls: Opener<typeof MEMORY_FILES> = lazily(MEMORY_FILES);
/** `prlimit`, for a process that has few descriptors. */
export const limitCalls: Opener<typeof LIMITS> = lazily(LIMITS);
/** `fstatfs`. */
export const fileSystemCalls: Opener<typeof FILE_SYSTEMS> = lazily(FILE_SYSTEMS);
/** `pread` that does not block its isolate. */
export const bulkReadCalls: Opener<typeof BULK_READS> = lazily(BULK_READS);
/** `poll`. */
export const pollingCalls: Opener<typeof POLLING> = lazily(POLLING);
/** `epoll`. */
export const epollCalls: Opener<typeof EPOLL> = lazily(EPOLL);
/** `timerfd`. */
export const timerCalls: Opener<typeof TIMERS> = lazily(TIMERS);
/** What a thread does to itself before it runs a vCPU. */
export const threadCalls: Opener<typeof THREADS> = lazily(THREADS);
/** `sigtimedwait`, needed at the first kick. */
export const drainingCalls: Opener<typeof DRAINING> = lazily(DRAINING);
/** `prctl`. */
export const namingCalls: Opener<typeof NAMING> = lazily(NAMING);
/** `sched_setaffinity`. */
export const affinityCalls: Opener<typeof AFFINITY> = lazily(AFFINITY);
/** `tgkill` and what it needs. */
export const kickCalls: Opener<typeof KICKS> = lazily(KICKS);
/** `getrandom`. */
export const randomCalls: Opener<typeof RANDOM> = lazily(RANDOM);
/** What makes sockets. */
export const socketCalls: Opener<typeof SOCKETS> = lazily(SOCKETS);
/** `send`, `recv` and `accept4`. */
export const streamCalls: Opener<typeof STREAMS> = lazily(STREAMS);
/** `io_uring`'s system calls for a ring and what goes through it. */
export const ioUringCalls: Opener<typeof IO_URING> = lazily(IO_URING);

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
