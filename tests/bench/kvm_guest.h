/*
 * A guest of one vCPU in flat 32-bit mode, by the calls that KVM needs for it and no more: what the C programs that benches
 * compare with have in common.
 */
#ifndef KVM_GUEST_H
#define KVM_GUEST_H

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Where its code lies and begins. */
enum { CODE = 0x1000 };

static inline void die(const char *what) {
  perror(what);
  exit(1);
}

static inline int call(int fd, unsigned long request, void *argument) {
  int result = ioctl(fd, request, argument);
  if (result < 0) die("ioctl");
  return result;
}

static inline int open_kvm(void) {
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) die("/dev/kvm");
  return kvm;
}

/* Gives a VM memory from address 0 on. */
static inline uint8_t *make_memory(int vm, size_t size) {
  uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  struct kvm_userspace_memory_region region = {.memory_size = size,
                                               .userspace_addr = (uint64_t)memory};
  call(vm, KVM_SET_USER_MEMORY_REGION, &region);
  return memory;
}

/* What KVM and we say to each other about a vCPU. */
static inline struct kvm_run *map_run(int kvm, int vcpu) {
  int size = call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  struct kvm_run *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (page == MAP_FAILED) die("mmap");
  return page;
}

/* Has a vCPU begin at CODE, with segments that are all of memory. */
static inline void enter(int vcpu) {
  struct kvm_sregs sregs;
  call(vcpu, KVM_GET_SREGS, &sregs);
  struct kvm_segment code = {.limit = ~0u, .selector = 0x10, .type = 11, .present = 1, .db = 1,
                             .s = 1, .g = 1};
  struct kvm_segment data = code;
  data.selector = 0x18;
  data.type = 3;
  sregs.cs = code;
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
  sregs.cr0 |= 1;
  call(vcpu, KVM_SET_SREGS, &sregs);
  struct kvm_regs regs = {.rip = CODE, .rflags = 2};
  call(vcpu, KVM_SET_REGS, &regs);
}

#endif
