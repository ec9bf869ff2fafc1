/**
 * Linux' own constants and C layouts for x86-64: what the host room passes to libc. Names are the headers'.
 *
 * @module
 */

import { sizeof, struct } from "../base/struct.ts";

/** Errnos that code decides on (`errno.h`). */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOTTY = 25;
export const ENOSPC = 28;
export const EPIPE = 32;
export const ENOSYS = 38;
export const EOPNOTSUPP = 95;
export const ECONNABORTED = 103;
export const ECONNREFUSED = 111;

/** Flags of `open` (`asm-generic/fcntl.h`). */
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_CREAT = 0o100;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECT = 0o40000;
export const O_CLOEXEC = 0o2000000;
export const O_NOFOLLOW = 0o400000;
export const O_PATH = 0o10000000;

/** Commands of `fcntl`. */
export const F_GETFL = 3;
export const F_DUPFD_CLOEXEC = 1030;
/** fcntl: sets whether a descriptor closes at exec. */
export const F_SETFD = 2;
/** It does. */
export const FD_CLOEXEC = 1;

/** `statx` (`linux/stat.h`). */
export const AT_EMPTY_PATH = 0x1000;
export const STATX_BASIC_STATS = 0x7ff;
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFIFO = 0o010000;

/** `struct statx_timestamp`. */
export const StatxTimestamp = struct({ tv_sec: "i64", tv_nsec: "u32", __reserved: "i32" });

/** `struct statx` as far as it is read here; its tail is spare space. */
export const Statx = struct({
  stx_mask: "u32",
  stx_blksize: "u32",
  stx_attributes: "u64",
  stx_nlink: "u32",
  stx_uid: "u32",
  stx_gid: "u32",
  stx_mode: "u16",
  stx_ino: "u64",
  stx_size: "u64",
  stx_blocks: "u64",
  stx_attributes_mask: "u64",
  stx_atime: StatxTimestamp,
  stx_btime: StatxTimestamp,
  stx_ctime: StatxTimestamp,
  stx_mtime: StatxTimestamp,
  stx_rdev_major: "u32",
  stx_rdev_minor: "u32",
  stx_dev_major: "u32",
  stx_dev_minor: "u32",
}, { size: 256 });

/** A block device's size in bytes (`linux/fs.h`). */
export const BLKGETSIZE64 = 0x80081272;

/** Operations of `flock` (`asm-generic/fcntl.h`). */
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

/** Modes of `fallocate` (`linux/falloc.h`). */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_ZERO_RANGE = 16;

/** `mmap` and `madvise` (`asm-generic/mman-common.h`). */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_HUGETLB = 0x40000;
export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
export const MADV_POPULATE_WRITE = 23;
/** Bytes of a page of the host. */
export const PAGE_SIZE = 4096;

/** `eventfd` flags. */
export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;
export const EFD_SEMAPHORE = 1;

/** `epoll` (`linux/eventpoll.h`). */
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
/** There is something to read. */
export const EPOLLIN = 0x001;
/** There is room to write. */
export const EPOLLOUT = 0x004;

/** `struct epoll_event`, packed on x86-64; `data` split in halves: descriptor and generation. */
export const EpollEvent = struct({ events: "u32", data_lo: "u32", data_hi: "u32" }, {
  packed: true,
});

/** `poll` events. */
export const POLLIN = 0x001;
export const POLLOUT = 0x004;

/** `struct pollfd`. */
export const Pollfd = struct({ fd: "i32", events: "i16", revents: "i16" });

/** `timerfd`. */
export const CLOCK_MONOTONIC = 1;
export const TFD_CLOEXEC = 0o2000000;
export const TFD_NONBLOCK = 0o4000;

/** `struct timespec`. */
export const Timespec = struct({ tv_sec: "i64", tv_nsec: "i64" });

/** `struct itimerspec`. */
export const Itimerspec = struct({ it_interval: Timespec, it_value: Timespec });

/** `struct iovec`. */
export const Iovec = struct({ iov_base: "u64", iov_len: "u64" });

/** Signals; realtime signal numbers are the kernel's (34 and up are free in Deno). */
export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGTERM = 15;
export const SIG_BLOCK = 0;
/** How `pthread_sigmask` takes a set: instead of the mask. */
export const SIG_SETMASK = 2;
/** Bytes of glibc's `sigset_t` and of the kernel's, which KVM_SET_SIGNAL_MASK wants. */
export const SIGSET_SIZE = 128;
export const KERNEL_SIGSET_SIZE = 8;

/** `stack_t`: where a context's stack is. */
export const StackT = struct({ ss_sp: "u64", ss_flags: "i32", ss_size: "u64" });

/** `ucontext_t` of glibc, as far as `makecontext` has its caller fill it. */
export const UcontextT = struct(
  { uc_flags: "u64", uc_link: "u64", uc_stack: StackT },
  { size: 968 },
);

/** `prctl` option: name of the calling thread, up to 15 bytes. */
export const PR_SET_NAME = 15;

/** Terminal ioctls (`asm-generic/ioctls.h`). */
export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
/** Number of the pseudo-terminal whose master this is; an error on everything else. */
export const TIOCGPTN = 0x80045430;
/** Locks (1) or unlocks (0) the device of a pseudo-terminal. */
export const TIOCSPTLCK = 0x40045431;

/** `struct termios` of the kernel (asm-generic/termbits.h), not libc's. */
export const Termios = struct({
  c_iflag: "u32",
  c_oflag: "u32",
  c_cflag: "u32",
  c_lflag: "u32",
  c_line: "u8",
  c_cc: ["u8", 19],
});

/** Bit of `c_oflag`: output is changed on its way to the terminal. */
export const OPOST = 1;

/** `struct statfs` of x86-64 (asm-generic/statfs.h). */
export const Statfs = struct({
  f_type: "i64",
  f_bsize: "i64",
  f_blocks: "i64",
  f_bfree: "i64",
  f_bavail: "i64",
  f_files: "i64",
  f_ffree: "i64",
  f_fsid: ["i32", 2],
  f_namelen: "i64",
  f_frsize: "i64",
  f_flags: "i64",
  f_spare: ["i64", 4],
});

/** Number of the limit of open files, one above the highest descriptor. */
export const RLIMIT_NOFILE = 7;

/** `struct rlimit`. */
export const Rlimit = struct({ rlim_cur: "u64", rlim_max: "u64" });

/** `socket`'s domain, type and flags. */
export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

/** `struct sockaddr_un`. */
export const SockaddrUn = struct({ sun_family: "u16", sun_path: ["u8", 108] });

/** `send` and `recv` flags. */
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

/** `getrandom` flag: fail with EAGAIN instead of waiting for the first entropy. */
export const GRND_NONBLOCK = 1;

/** `memfd_create` flags. */
export const MFD_CLOEXEC = 1;

/** System calls without a libc function (`asm/unistd_64.h`). */
export const SYS_IO_URING_SETUP = 425;
export const SYS_IO_URING_ENTER = 426;

/** io_uring (`linux/io_uring.h`). */
export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_SQES = 0x10000000;
export const IORING_FEAT_SINGLE_MMAP = 1;
export const IORING_FEAT_NODROP = 2;
export const IORING_FEAT_SUBMIT_STABLE = 4;
export const IORING_SETUP_CLAMP = 16;
export const IORING_ENTER_GETEVENTS = 1;
export const IORING_OP_READV = 1;
export const IORING_OP_WRITEV = 2;
export const IORING_OP_FSYNC = 3;
export const IORING_OP_FALLOCATE = 17;
export const IORING_FSYNC_DATASYNC = 1;

/** `struct io_sqring_offsets`. */
export const IoSqringOffsets = struct({
  head: "u32",
  tail: "u32",
  ring_mask: "u32",
  ring_entries: "u32",
  flags: "u32",
  dropped: "u32",
  array: "u32",
  resv1: "u32",
  _resv2: "u64",
});

/** `struct io_cqring_offsets`. */
export const IoCqringOffsets = struct({
  head: "u32",
  tail: "u32",
  ring_mask: "u32",
  ring_entries: "u32",
  overflow: "u32",
  cqes: "u32",
  flags: "u32",
  resv1: "u32",
  _resv2: "u64",
});

/** `struct io_uring_params`. */
export const IoUringParams = struct({
  sq_entries: "u32",
  cq_entries: "u32",
  flags: "u32",
  sq_thread_cpu: "u32",
  sq_thread_idle: "u32",
  features: "u32",
  wq_fd: "u32",
  resv: ["u32", 3],
  sq_off: IoSqringOffsets,
  cq_off: IoCqringOffsets,
});

/** `struct io_uring_sqe` of 64 bytes, its unions under the names used here. */
export const IoUringSqe = struct({
  opcode: "u8",
  flags: "u8",
  ioprio: "u16",
  fd: "i32",
  off: "u64",
  addr: "u64",
  len: "u32",
  op_flags: "u32",
  user_data: "u64",
}, { size: 64 });

/** `struct io_uring_cqe`. */
export const IoUringCqe = struct({ user_data: "u64", res: "i32", flags: "u32" });

/** Bytes of an iovec, an epoll event: strides of the arrays the kernel reads and writes. */
export const IOVEC_SIZE = sizeof(Iovec);
export const EPOLL_EVENT_SIZE = sizeof(EpollEvent);
