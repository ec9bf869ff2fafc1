/*
 * The exit loop that exit_bench.ts is compared with: the same guest, an access answered by a table of devices, a word of
 * memory as the device. Each line of input makes a round, and a line with its exits and nanoseconds.
 *
 *   exit_loop CODE-IN-HEX
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "kvm_guest.h"

enum { MEMORY = 0x10000 };

struct device {
  uint64_t start, end;
  uint32_t value;
};

static struct device ports[] = {{0x60, 0x65, 0}, {0x70, 0x72, 0}, {0x3f8, 0x400, 0}};
static struct device windows[] = {{0xd0000000, 0xd0001000, 0}};

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

int main(int count, char **arguments) {
  if (count != 2) return 2;
  int kvm = open_kvm();
  int vm = call(kvm, KVM_CREATE_VM, 0);
  uint8_t *memory = make_memory(vm, MEMORY);
  for (size_t i = 0; i < strlen(arguments[1]) / 2; i++)
    sscanf(arguments[1] + 2 * i, "%2hhx", &memory[CODE + i]);
  int vcpu = call(vm, KVM_CREATE_VCPU, 0);
  struct kvm_run *page = map_run(kvm, vcpu);
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
