/**
 * The mutants: lines of the source, how each is broken, and the test that must notice.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";
import { DEVICE_MUTANTS } from "./mutants_devices.ts";
import { MACHINE_MUTANTS } from "./mutants_machine.ts";

/** Every mutant. `tests/mutants_test.ts` keeps the table in step with the source. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "used.idx is published early",
    file: "src/virtio/virtqueue.ts",
    line: "    this.#nextUsed = (this.#nextUsed + 1) % INDICES;",
    broken:
      "    this.#nextUsed = (this.#nextUsed + 1) % INDICES;\n    Atomics.store(this.#used, 1, this.#nextUsed);",
    test: {
      file: "tests/virtio/virtqueue_test.ts",
      name: "Virtqueue.pushUsed() shows nothing before publish()",
    },
  },
  {
    name: "a chain may be longer than its queue",
    file: "src/virtio/virtqueue.ts",
    line: "for (let count = 1; count <= this.size; count++) {",
    broken: "for (let count = 1; count <= 2 * this.size; count++) {",
    test: {
      file: "tests/virtio/virtqueue_indirect_test.ts",
      name: "Virtqueue.pop() counts ordinary descriptors before a table to the chain's length",
    },
  },
  {
    name: "a buffer is not checked against RAM",
    file: "src/virtio/virtqueue.ts",
    line: 'if (!this.#memory.containsRange(range)) return this.#refuse("buffer outside RAM");',
    broken: "",
    test: { file: "tests/virtio/virtqueue_test.ts", name: "Virtqueue.pop() refuses" },
  },
  {
    name: "the available index is taken as it is",
    file: "src/virtio/virtqueue.ts",
    line: "if (added > this.size - this.inFlight) {",
    broken: "if (added < 0) {",
    test: {
      file: "tests/virtio/virtqueue_test.ts",
      name: "Virtqueue.pop() finds the ring broken where the available index jumps",
    },
  },
  {
    name: "a head outside the table is taken",
    file: "src/virtio/virtqueue.ts",
    line: "if (head >= this.size) {",
    broken: "if (head > this.size) {",
    test: {
      file: "tests/virtio/virtqueue_test.ts",
      name: "Virtqueue.pop() finds the ring broken where a head lies outside the table",
    },
  },
  {
    name: "a malformed chain is kept",
    file: "src/virtio/virtqueue.ts",
    line: "      this.pushUsed(head, 0);\n",
    broken: "",
    test: {
      file: "tests/virtio/virtqueue_test.ts",
      name: "Virtqueue.pop() gives a malformed chain back with length 0",
    },
  },
  {
    name: "the signal mask of KVM_RUN is dropped",
    file: "src/machine/builder.ts",
    line: "        vcpu.setSignalMask(runSignalMask());\n",
    broken: "",
    test: {
      file: "tests/guests/machine_test.ts",
      name: "Machine.run() ends with AbortError when its signal fires",
    },
  },
  {
    name: "a kick sends no signal",
    file: "src/host/thread.ts",
    line: "const result = calls.tgkill(processId, thread, KICK_SIGNAL);",
    broken: "const result = calls.tgkill(processId, thread, 0);",
    test: {
      file: "tests/kvm/kick_test.ts",
      name: "a kick ends a guest that never exits by itself (row 3.8)",
    },
  },
  {
    name: "a read-only disk is written",
    file: "src/virtio/blk_request.ts",
    line: 'const allowed = action === "read" || !limits.readonly;',
    broken: "const allowed = true;",
    test: {
      file: "tests/virtio/blk_request_test.ts",
      name: "BlkRequest.parse() refuses writes to a read-only disk",
    },
  },
  {
    name: "a sector is shifted in 32 bits",
    file: "src/virtio/blk_request.ts",
    line:
      "const offset = fromHalves(this.#sectorLow, this.#sectorHigh) * VIRTIO_BLK_SECTOR_SIZE;\n    const whole",
    broken: "const offset = (this.#sectorLow << 9) >>> 0;\n    const whole",
    test: {
      file: "tests/virtio/blk_request_test.ts",
      name: "BlkRequest.parse() refuses sectors beyond the end, however large",
    },
  },
  {
    name: "FEATURES_OK is accepted without VERSION_1",
    file: "src/virtio/virtio_state.ts",
    line: "return !unknown && this.hasFeature(VIRTIO_F_VERSION_1);",
    broken: "return !unknown;",
    test: {
      file: "tests/virtio/device_status_test.ts",
      name: "Transport refuses FEATURES_OK without VERSION_1",
    },
  },
  {
    name: "features that were not offered are accepted",
    file: "src/virtio/virtio_state.ts",
    line: "return !unknown && this.hasFeature(VIRTIO_F_VERSION_1);",
    broken: "return this.hasFeature(VIRTIO_F_VERSION_1);",
    test: {
      file: "tests/virtio/device_status_test.ts",
      name: "which was not offered (virtio 1.3 §2.2)",
    },
  },
  {
    name: "InterruptACK does nothing",
    file: "src/virtio/mmio_front.ts",
    line: "[VIRTIO_MMIO_INTERRUPT_ACK, ({ state }, value) => state.acknowledgeInterrupt(value)],",
    broken: "",
    test: {
      file: "tests/virtio/mmio_front_test.ts",
      name: "MmioFront keeps interrupt causes until they are acknowledged",
    },
  },
  {
    name: "InterruptACK takes all causes",
    file: "src/virtio/virtio_state.ts",
    line: "Atomics.and(this.#words, this.#index(Header.interruptStatus), ~causes);",
    broken: "Atomics.and(this.#words, this.#index(Header.interruptStatus), 0 * causes);",
    test: {
      file: "tests/virtio/mmio_front_test.ts",
      name: "MmioFront keeps interrupt causes until they are acknowledged",
    },
  },
  {
    name: "a reset does not wait for the device",
    file: "src/virtio/transport.ts",
    line: "if (this.#context.park(this.state.phaseIndex, PHASE.RESET, RESET_TIMEOUT)) return;\n",
    broken: "return;\n",
    test: {
      file: "tests/virtio/device_status_test.ts",
      name: "Transport waits for the back at a reset",
    },
  },
  {
    name: "one CPU in the MADT",
    file: "src/arch/x86_64/acpi/tables.ts",
    line: "const cpus = apicIds.map((apicId, uid) =>",
    broken: "const cpus = apicIds.slice(0, 1).map((apicId, uid) =>",
    test: {
      file: "tests/arch/x86_64/acpi/tables_test.ts",
      name: "fadt() and madt() are what was reviewed",
    },
  },
  {
    name: "the hole is off by a page",
    file: "src/arch/x86_64/layout.ts",
    line: "export const HOLE_ADDRESS = 0xd0000000;",
    broken: "export const HOLE_ADDRESS = 0xd0001000;",
    test: {
      file: "tests/arch/x86_64/layout_test.ts",
      name: "leaves the hole below 4 GiB free",
    },
  },
  {
    name: "an access across a window's end is its device's",
    file: "src/bus/bus.ts",
    line: "if (address + size > entry.end) break;",
    broken: "",
    test: {
      file: "tests/bus/bus_test.ts",
      name: "Bus gives an access across a window's end to nobody",
    },
  },
  {
    name: "two devices may share an address",
    file: "src/bus/bus.ts",
    line: "if (start < other.end && other.start < end) {",
    broken: "if (start === other.start && other.end === end) {",
    test: { file: "tests/bus/bus_test.ts", name: "Bus.insert() refuses overlapping windows" },
  },
  {
    name: "EVENT_IDX compares without wrapping",
    file: "src/virtio/virtqueue.ts",
    line: "return event !== now && distance(event, now) <= distance(before, now);",
    broken: "return event >= before && event < now;",
    test: { file: "tests/virtio/virtqueue_events_test.ts", name: "Virtqueue.publish() of " },
  },
  ...DEVICE_MUTANTS,
  ...MACHINE_MUTANTS,
];
