/*
 * The machine of start_program.ts in C, as far as the kernel sees it: the same ioctls and mappings, in one thread.
 */
#include <string.h>
#include <sys/eventfd.h>

#include "kvm_guest.h"

enum { MEMORY = 4 << 20, PORT = 0x510 };

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

static void set_cpuid(int kvm, int vcpu) {
  struct {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[128];
  } cpuid = {.head.nent = 128};
  call(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
  call(vcpu, KVM_SET_CPUID2, &cpuid);
}

int main(void) {
  const char *event = getenv("EVENT");
  if (event == NULL) return 2;
  int kvm = open_kvm();
  int vm = call(kvm, KVM_CREATE_VM, 0);
  uint8_t *memory = make_memory(vm, MEMORY);
  make_devices(vm, atoi(event));
  /* mov edx, PORT; out dx, al; cli; hlt */
  static const uint8_t code[] = {0xba, PORT & 0xff, PORT >> 8, 0, 0, 0xee, 0xfa, 0xf4};
  memcpy(memory + CODE, code, sizeof(code));
  int vcpu = call(vm, KVM_CREATE_VCPU, 0);
  map_run(kvm, vcpu);
  set_cpuid(kvm, vcpu);
  enter(vcpu);
  call(vcpu, KVM_RUN, 0);
  return 1;
}
