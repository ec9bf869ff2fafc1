/*
 * The exit loop that exit_bench.ts is compared with: the same guest, an access answered by a table of devices, a word of
 * memory as the device. Each line of input makes a round, and a line with its exits and nanoseconds.
 *
 *   exit_loop CODE-IN-HEX
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

enum { MEMORY = 0x10000, CODE = 0x1000 };

struct device {
  uint64_t start, end;
  uint32_t value;
};

static struct device ports[] = {{0x60, 0x65, 0}, {0x70, 0x72, 0}, {0x3f8, 0x400, 0}};
static struct device windows[] = {{0xd0000000, 0xd0001000, 0}};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int call(int fd, unsigned long request, void *argument) {
  int result = ioctl(fd, request, argument);
  if (result < 0) die("ioctl");
  return result;
}

static struct device *find(struct device *devices, int count, uint64_t address) {
  for (int i = 0; i < count; i++)
    if (address >= devices[i].start && address < devices[i].end) return &devices[i];
  return NULL;
}

static void answer(struct device *device, void *data, unsigned size, int write) {
  if (device == NULL) {
    if (!write) memset(data, 0xff, size);
  } else if (write) {
    memcpy(&device->value, data, size);
  } else {
    memcpy(data, &device->value, size);
  }
}

/* Runs to HLT; gives the number of exits before it. */
static long run(int vcpu, struct kvm_run *page) {
  for (long exits = 0;; exits++) {
    if (ioctl(vcpu, KVM_RUN, 0) < 0) {
      if (errno == EINTR) continue;
      die("KVM_RUN");
    }
    switch (page->exit_reason) {
    case KVM_EXIT_IO: {
      char *data = (char *)page + page->io.data_offset;
      struct device *device = find(ports, 3, page->io.port);
      for (unsigned i = 0; i < page->io.count; i++)
        answer(device, data + i * page->io.size, page->io.size, page->io.direction);
      break;
    }
    case KVM_EXIT_MMIO:
      answer(find(windows, 1, page->mmio.phys_addr), page->mmio.data, page->mmio.len,
             page->mmio.is_write);
      break;
    case KVM_EXIT_HLT:
      return exits;
    default:
      fprintf(stderr, "exit %u\n", page->exit_reason);
      exit(1);
    }
  }
}

static void enter(int vcpu) {
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

int main(int count, char **arguments) {
  if (count != 2) return 2;
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) die("/dev/kvm");
  int vm = call(kvm, KVM_CREATE_VM, 0);
  uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  for (size_t i = 0; i < strlen(arguments[1]) / 2; i++)
    sscanf(arguments[1] + 2 * i, "%2hhx", &memory[CODE + i]);
  struct kvm_userspace_memory_region region = {.memory_size = MEMORY,
                                               .userspace_addr = (uint64_t)memory};
  call(vm, KVM_SET_USER_MEMORY_REGION, &region);
  int vcpu = call(vm, KVM_CREATE_VCPU, 0);
  int size = call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  struct kvm_run *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (page == MAP_FAILED) die("mmap");
  char line[16];
  while (fgets(line, sizeof(line), stdin)) {
    struct timespec before, after;
    enter(vcpu);
    clock_gettime(CLOCK_MONOTONIC, &before);
    long exits = run(vcpu, page);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long long ns = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("%ld %lld\n", exits, ns);
    fflush(stdout);
  }
  return 0;
}
