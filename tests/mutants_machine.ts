/**
 * Mutants of what a machine is made of: memory, processors, boot, description, control.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

/** Mutants of memory, arch, boot, config, vcpu and host. */
export const MACHINE_MUTANTS: readonly Mutant[] = [
  {
    name: "a range may begin in one region and end in none",
    file: "src/memory/guest_memory.ts",
    line: "if (offset >= 0 && length >= 0 && offset + length <= region.size) return region;",
    broken: "if (offset >= 0 && length >= 0 && offset < region.size) return region;",
    test: {
      file: "tests/memory/guest_memory_test.ts",
      name:
        "GuestMemory refuses a range that begins and ends in RAM with the hole between (row 1.6)",
    },
  },
  {
    name: "a buffer may end outside its region",
    file: "src/memory/guest_memory.ts",
    line: "if (offset >= 0 && offset + range[1]! <= region.size) return true;",
    broken: "if (offset >= 0 && offset < region.size) return true;",
    test: { file: "tests/virtio/virtqueue_test.ts", name: "Virtqueue.pop() refuses " },
  },
  {
    name: "a lock that is held is taken",
    file: "src/memory/shared_state.ts",
    line: "if (Atomics.compareExchange(this.#words, this.#index, FREE, HELD) === FREE) return;",
    broken: "return;",
    test: {
      file: "tests/memory/shared_state_test.ts",
      name: "SharedLock keeps four workers apart: no count is lost",
    },
  },
  {
    name: "every vCPU has the first one's APIC id",
    file: "src/arch/x86_64/cpuid.ts",
    line: "24, 8, place.apicId % 256)",
    broken: "24, 8, 0)",
    test: {
      file: "tests/arch/x86_64/cpuid_test.ts",
      name: "bootCpuid() gives each of 4 vCPUs its own APIC id on ",
    },
  },
  {
    name: "APIC ids leave no gaps",
    file: "src/arch/x86_64/topology.ts",
    line: "return Math.ceil(Math.log2(threads));",
    broken: "return Math.floor(Math.log2(threads));",
    test: {
      file: "tests/arch/x86_64/topology_test.ts",
      name: "apicIds() leave gaps where cores and threads are no power of two",
    },
  },
  {
    name: "memory is uncached",
    file: "src/arch/x86_64/msrs.ts",
    line: "data: x86.MTRR_ENABLE | x86.MTRR_TYPE_WRBACK",
    broken: "data: 0n",
    test: { file: "tests/arch/x86_64/msrs_test.ts", name: "BOOT_MSRS make memory cacheable" },
  },
  {
    name: "the MP table has no checksum",
    file: "src/arch/x86_64/mp_table.ts",
    line: "  view.setUint8(mp.mpc_table.checksum, checksum(bytes));\n",
    broken: "",
    test: {
      file: "tests/arch/x86_64/mp_table_test.ts",
      name: "mpTable() counts its length and entries, and sums up to 0",
    },
  },
  {
    name: "a kernel is told that our windows are RAM",
    file: "src/boot/e820.ts",
    line: "merge([...FIXED, ...reserved]",
    broken: "merge([...FIXED]",
    test: {
      file: "tests/boot/e820_test.ts",
      name: "e820Map() marks allocations reserved (row 1.24)",
    },
  },
  {
    name: "a file in an archive is not aligned",
    file: "src/boot/cpio.ts",
    line: "to.set(record.data, align4(HEADER_BYTES + record.name.length));",
    broken: "to.set(record.data, HEADER_BYTES + record.name.length);",
    test: {
      file: "tests/boot/cpio_test.ts",
      name: "writeCpio() keeps UTF-8 names and arbitrary bytes",
    },
  },
  {
    name: "a command line is a byte longer than the kernel reads",
    file: "src/boot/command_line.ts",
    line: "if (text.length > most) {",
    broken: "if (text.length > most + 1) {",
    test: {
      file: "tests/boot/command_line_test.ts",
      name: "encodeCommandLine() takes as many bytes as the kernel reads, and no more",
    },
  },
  {
    name: "the kernel's limit for an initrd is ignored",
    file: "src/boot/initrd.ts",
    line: "const end = Math.min(ramEnd, addressMax + 1);",
    broken: "const end = ramEnd;",
    test: {
      file: "tests/boot/initrd_test.ts",
      name: "initrdAddress() keeps the last byte at or below initrd_addr_max",
    },
  },
  {
    name: "a size is rounded where it is too large to be exact",
    file: "src/config/units.ts",
    line: "Number.isSafeInteger(bytes) ? bytes",
    broken: "!Number.isNaN(bytes) ? bytes",
    test: { file: "tests/config/units_test.ts", name: "parseSize() refuses what is no whole size" },
  },
  {
    name: "an unknown key is passed over",
    file: "src/config/check.ts",
    line: "if (node === undefined) this.#unknown(joined(path, name), name, children);",
    broken: "if (node === undefined) continue;",
    test: {
      file: "tests/config/check_test.ts",
      name: "checkDescription() refuses unknown keys and says what was meant",
    },
  },
  {
    name: "nobody guesses what was meant",
    file: "src/base/nearest.ts",
    line: "const SLIPS = 2;",
    broken: "const SLIPS = 0;",
    test: {
      file: "tests/config/check_test.ts",
      name: "checkDescription() refuses unknown keys and says what was meant",
    },
  },
  {
    name: "a stop is undone by a pause that comes late",
    file: "src/vcpu/control.ts",
    line: "    if (this.wanted === Wanted.stop) return;\n",
    broken: "",
    test: {
      file: "tests/vcpu/control_test.ts",
      name: "VcpuControl.request(): nothing undoes a stop (row 3.6)",
    },
  },
  {
    name: "an ioctl that a signal interrupts has failed",
    file: "src/kvm/driver.ts",
    line: "for (let i = 0; result === -EINTR && i < INTERRUPTIONS; i++) {",
    broken: "for (let i = 0; result === -EINTR && i < 1; i++) {",
    test: {
      file: "tests/kvm/kvm_test.ts",
      name: "an ioctl that a signal interrupts is tried again",
    },
  },
  {
    name: "a failed call's errno is not asked for",
    file: "src/host/fd.ts",
    line: "calls.open(bytes, flags, mode);\n  return result < 0 ? -(errno[0] ?? 0) : result;",
    broken: "calls.open(bytes, flags, mode);\n  return result;",
    test: {
      file: "tests/host/fd_test.ts",
      name: "Fd.open() names the path and the errno of a failure",
    },
  },
];
