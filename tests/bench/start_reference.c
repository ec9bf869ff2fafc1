/*
 * The machine of start_program.ts in C, as far as the kernel sees it: the same ioctls and mappings, in one thread.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEMORY = 4 << 20, CODE = 0x1000, PORT = 0x510 };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int call(int fd, unsigned long request, void *argument) {
  int result = ioctl(fd, request, argument);
  if (result < 0) die("ioctl");
  return result;
}

static void make_devices(int vm, int event) {
  call(vm, KVM_SET_TSS_ADDR, (void *)0xfffbd000);
  uint64_t identity = 0xfffbc000;
  call(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
  call(vm, KVM_CREATE_IRQCHIP, 0);
  struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
  call(vm, KVM_CREATE_PIT2, &pit);
  for (uint32_t gsi = 8; gsi < 11; gsi++) {
    struct kvm_irqfd irqfd = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .gsi = gsi};
    call(vm, KVM_IRQFD, &irqfd);
  }
  struct kvm_ioeventfd first = {.fd = event, .addr = PORT, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO};
  call(vm, KVM_IOEVENTFD, &first);
}

static uint8_t *make_memory(int vm) {
  uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  struct kvm_userspace_memory_region region = {.memory_size = MEMORY,
                                               .userspace_addr = (uint64_t)memory};
  call(vm, KVM_SET_USER_MEMORY_REGION, &region);
  return memory;
}

static void enter(int kvm, int vcpu) {
  struct {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[128];
  } cpuid = {.head.nent = 128};
  call(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
  call(vcpu, KVM_SET_CPUID2, &cpuid);
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

int main(void) {
  const char *event = getenv("EVENT");
  if (event == NULL) return 2;
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) die("/dev/kvm");
  int vm = call(kvm, KVM_CREATE_VM, 0);
  uint8_t *memory = make_memory(vm);
  make_devices(vm, atoi(event));
  /* mov edx, PORT; out dx, al; cli; hlt */
  static const uint8_t code[] = {0xba, PORT & 0xff, PORT >> 8, 0, 0, 0xee, 0xfa, 0xf4};
  memcpy(memory + CODE, code, sizeof(code));
  int vcpu = call(vm, KVM_CREATE_VCPU, 0);
  int size = call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0) == MAP_FAILED) die("mmap");
  enter(kvm, vcpu);
  call(vcpu, KVM_RUN, 0);
  return 1;
}
