/**
 * Mutants of devices and of what they stand on: what would lose, invent or endanger a guest's data.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

/** Mutants of virtio, storage, bus and chips. */
export const DEVICE_MUTANTS: readonly Mutant[] = [
  {
    name: "the terminal keeps a buffer while nobody reads",
    file: "src/virtio/console.ts",
    line: "this.#keepNewest();\n      queue.pushUsed(this.#chain.head, 0);",
    broken:
      "this.#keepNewest();\n      if (this.#ring.length === 0) queue.pushUsed(this.#chain.head, 0);",
    test: {
      file: "tests/virtio/console_test.ts",
      name: "Console gives buffers back at once while nobody reads, and drops what is too much",
    },
  },
  {
    name: "a port drops what the host does not take at once",
    file: "src/virtio/console_port.ts",
    line: "      if (taken < 0) return false;\n",
    broken: "      if (taken < 0) return true;\n",
    test: {
      file: "tests/virtio/console_ports_test.ts",
      name: "ConsolePorts pushes back: a buffer returns when the host has taken all of it",
    },
  },
  {
    name: "a reset forgets what the guest has sent",
    file: "src/virtio/console_port.ts",
    line: "    this.#salvage();\n    this.news.clear();",
    broken: "    this.news.clear();",
    test: {
      file: "tests/virtio/console_ports_test.ts",
      name: "ConsolePorts writes what was sent before a reset, and what comes after it then",
    },
  },
  {
    name: "what resets keep has no bound",
    file: "src/virtio/console_port.ts",
    line: "SALVAGE_LIMIT - this.#salvaged.length;",
    broken: "SALVAGE_LIMIT;",
    test: {
      file: "tests/virtio/console_ports_test.ts",
      name: "ConsolePorts keeps 8 MiB over any number of resets, and no more",
    },
  },
  {
    name: "a chain is moved in one go however long it is",
    file: "src/virtio/console_port.ts",
    line: "      if (this.#left <= 0) return false;\n",
    broken: "",
    test: {
      file: "tests/virtio/console_ports_test.ts",
      name: "ConsolePorts lets other devices in between however long a chain is",
    },
  },
  {
    name: "the number of a port is not checked",
    file: "src/virtio/console_ports.ts",
    line: "    if (port === undefined) {",
    broken: "    if (port === null) {",
    test: {
      file: "tests/virtio/console_ports_test.ts",
      name: "ConsolePorts survives control messages that are short, unknown, or for no port",
    },
  },
  {
    name: "input goes to a port that nobody has open",
    file: "src/virtio/console_port.ts",
    line: "while (this.#input.isOpen && this.#guestOpen) {",
    broken: "while (this.#input.isOpen) {",
    test: {
      file: "tests/fuzz/console_test.ts",
      name: "ConsolePorts carries what its model does, whatever the chains and messages",
    },
  },
  {
    name: "the entropy device tells of bytes that it did not write",
    file: "src/virtio/rng.ts",
    line: "queue.pushUsed(this.#chain.head, this.#chain.write(0, bytes.subarray(0, filled)));",
    broken:
      "this.#chain.write(0, bytes.subarray(0, filled));\n      queue.pushUsed(this.#chain.head, this.#chain.writableLength);",
    test: {
      file: "tests/virtio/rng_test.ts",
      name: "Rng gives at most 64 KiB a request, and the rest of the buffer is left alone",
    },
  },
  {
    name: "a device is not drained before its reset",
    file: "src/virtio/virtio_back.ts",
    line: "  reset(): void {\n    this.#drainDevice();\n",
    broken: "  reset(): void {\n",
    test: {
      file: "tests/virtio/virtio_back_test.ts",
      name: "VirtioBack drains before a reset ends, and later completions touch no memory",
    },
  },
  {
    name: "a paused device goes on",
    file: "src/virtio/virtio_back.ts",
    line: 'if (queue === undefined || this.#work !== "active") return;',
    broken: "if (queue === undefined) return;",
    test: {
      file: "tests/virtio/virtio_back_test.ts",
      name: "VirtioBack holds still between drain and resume, then does what came meanwhile",
    },
  },
  {
    name: "a broken ring is kept from the driver",
    file: "src/virtio/virtio_back.ts",
    line: "if (this.state.fail()) this.#irq.trigger();",
    broken: "this.state.fail();",
    test: {
      file: "tests/virtio/virtio_back_test.ts",
      name: "VirtioBack asks for a reset where a ring is broken, stops, and recovers by the reset",
    },
  },
  {
    name: "a round of a queue has no end",
    file: "src/virtio/virtqueue.ts",
    line: "      this.#budget--;\n",
    broken: "",
    test: {
      file: "tests/virtio/virtqueue_test.ts",
      name: "Virtqueue.pop() ends a round after 256 requests",
    },
  },
  {
    name: "a descriptor is read a second time after its check",
    file: "src/virtio/virtqueue.ts",
    line: "      if (!this.#take(chain, (flags & VRING_DESC_F_WRITE) !== 0)) return false;\n",
    broken:
      '      if (!this.#memory.containsRange(range)) return this.#refuse("buffer outside RAM");\n      range[0] = table.getUint32(at + VringDesc.addr, true);\n      range[1] = table.getUint32(at + VringDesc.len, true);\n      chain.add(range, (flags & VRING_DESC_F_WRITE) !== 0);\n',
    test: {
      file: "tests/virtio/virtqueue_race_test.ts",
      name: "Virtqueue.pop() reads each byte of a descriptor and of an indirect table once",
    },
  },
  {
    name: "a request may be as long as a chain can be",
    file: "src/virtio/blk_request.ts",
    line: " && length <= MAX_TRANSFER",
    broken: "",
    test: {
      file: "tests/virtio/blk_request_test.ts",
      name: "BlkRequest.parse() refuses to move more than 16 MiB at once",
    },
  },
  {
    name: "the iovec that a short transfer ended in is done again",
    file: "src/storage/disk.ts",
    line: "    if (left > 0) this.#trimFirst(left);\n",
    broken: "",
    test: {
      file: "tests/storage/disk_test.ts",
      name: "DiskRequest.advance() drops what is done and cuts the segment it ended in",
    },
  },
  {
    name: "an address of an iovec loses its upper half",
    file: "src/storage/disk.ts",
    line: "this.iovecs[at + 1] = Math.trunc(hostAddress / TWO_32);",
    broken: "this.iovecs[at + 1] = 0;",
    test: {
      file: "tests/storage/disk_test.ts",
      name: "DiskRequest.append() keeps 47-bit addresses and sums up lengths",
    },
  },
  {
    name: "a read behind the end of the file is done",
    file: "src/storage/uring_file.ts",
    line: "transfer && result === 0 ? -EIO : Math.min(result, 0)",
    broken: "Math.min(result, 0)",
    test: {
      file: "tests/storage/file_disk_test.ts",
      name: " fails with EIO where the file has become shorter",
    },
  },
  {
    name: "more is in flight than completions fit",
    file: "src/host/io_uring.ts",
    line: "    if (used > this.#sqMask || this.#inFlight >= this.#cqEntries) return false;\n",
    broken: "    if (used > this.#sqMask) return false;\n",
    test: {
      file: "tests/host/io_uring_test.ts",
      name: "IoUring never has more in flight than completions fit",
    },
  },
  {
    name: "a device that is gone answers once more",
    file: "src/bus/bus.ts",
    line: "    this.#last = undefined;\n  }",
    broken: "  }",
    test: {
      file: "tests/bus/bus_test.ts",
      name: "Bus.remove() takes all windows of a device away, and its last answer with them",
    },
  },
  {
    name: "the transmitter's interrupt is not raised when it is enabled",
    file: "src/devices/uart16550.ts",
    line: "    if ((value & ~old & UART_IER_THRI) !== 0) this.#uart.set(S.thre_pending, 1);\n",
    broken: "",
    test: {
      file: "tests/devices/uart16550_test.ts",
      name: "Uart16550 raises THRE when its interrupt is enabled, each time anew",
    },
  },
  {
    name: "a divisor is sent as a character",
    file: "src/devices/uart16550.ts",
    line: "if (offset === UART_TX && (this.#uart.get(S.lcr) & UART_LCR_DLAB) === 0) this",
    broken: "if (offset === UART_TX) this",
    test: {
      file: "tests/devices/uart16550_test.ts",
      name: "Uart16550 shows the divisor instead of data while DLAB is set",
    },
  },
  {
    name: "the clock never says that it is being updated",
    file: "src/devices/rtc_cmos.ts",
    line: "(this.#updating() ? RTC_UIP : 0)",
    broken: "(this.#updating() ? 0 : 0)",
    test: {
      file: "tests/devices/rtc_cmos_test.ts",
      name: "RtcCmos says that an update is near, and stops saying so",
    },
  },
  {
    name: "a crash kernel that takes over ends the machine",
    file: "src/devices/pvpanic.ts",
    line: "if ((value & PVPANIC_PANICKED) !== 0) this",
    broken: "if (value !== 0) this",
    test: {
      file: "tests/devices/pvpanic_test.ts",
      name: "Pvpanic lets a guest whose crash kernel takes over go on",
    },
  },
  {
    name: "every sleep type powers off",
    file: "src/devices/acpi_pm.ts",
    line: " && type === ACPI_S5_SLEEP_TYPE",
    broken: "",
    test: { file: "tests/devices/acpi_pm_test.ts", name: "AcpiPm ignores every other sleep type" },
  },
  {
    name: "a used entry is written one place further",
    file: "src/virtio/virtqueue.ts",
    line: "const at = VringUsed.ring + this.#nextUsed % this.size * VRING_USED_ELEM_SIZE;",
    broken: "const at = VringUsed.ring + (this.#nextUsed + 1) % this.size * VRING_USED_ELEM_SIZE;",
    test: {
      file: "tests/fuzz/virtqueue_test.ts",
      name: "Virtqueue takes what the specification says from random rings, and nothing else",
    },
  },
  {
    name: "a request's status is written behind its buffer",
    file: "src/virtio/blk_request.ts",
    line: "return chain.address(last) + chain.length(last) - 1;",
    broken: "return chain.address(last) + chain.length(last);",
    test: { file: "tests/fuzz/blk_test.ts", name: " answers random requests as its model does" },
  },
  {
    name: "a queue that is ready can be changed",
    file: "src/virtio/virtio_state.ts",
    line: "if (queue === undefined || queue.ready || !this.#queuesOpen()) return false;",
    broken: "if (queue === undefined || !this.#queuesOpen()) return false;",
    test: {
      file: "tests/fuzz/virtio_mmio_test.ts",
      name: "MmioFront and VirtioBack survive any order of accesses",
    },
  },
  {
    name: "features can be taken after FEATURES_OK",
    file: "src/virtio/virtio_state.ts",
    line: "if (half > 1 || (this.status & steps) !== VIRTIO_CONFIG_S_DRIVER) return false;",
    broken: "if (half > 1 || (this.status & steps) === 0) return false;",
    test: {
      file: "tests/fuzz/virtio_mmio_test.ts",
      name: "MmioFront and VirtioBack survive any order of accesses",
    },
  },
  {
    name: "randomness begins a byte too late",
    file: "src/virtio/rng.ts",
    line: "this.#chain.write(0, bytes.subarray(0, filled))",
    broken: "this.#chain.write(1, bytes.subarray(0, filled))",
    test: {
      file: "tests/fuzz/rng_test.ts",
      name: "Rng fills the room of random chains, and nothing else",
    },
  },
  {
    name: "the terminal loses the first byte of its output",
    file: "src/virtio/console.ts",
    line: "      this.#chain.read(done, room);",
    broken: "      this.#chain.read(done + 1, room);",
    test: {
      file: "tests/fuzz/console_test.ts",
      name: "Console carries what its model does, whatever the chains",
    },
  },
];
