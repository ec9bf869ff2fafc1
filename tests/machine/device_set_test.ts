/** Devices come and go; what was made for one that went is there for the next. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VireoError } from "../../src/base/errors.ts";
import { HOLE_ADDRESS } from "../../src/arch/x86_64/layout.ts";
import type { DeviceDescriptor } from "../../src/bus/device_descriptor.ts";
import { uart16550 } from "../../src/devices/uart16550_plan.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { DeviceSet } from "../../src/machine/device_set.ts";
import { AddressSpace } from "../../src/memory/address_space.ts";
import { SharedState } from "../../src/memory/shared_state.ts";
import { virtioMmioPlan } from "../../src/virtio/mmio_plan.ts";
import { RNG_SPEC } from "../../src/virtio/rng.ts";
import { FakeKvm } from "../support/fake_kvm.ts";
import { openDescriptors } from "../support/libc.ts";
import { requirement } from "../support/require.ts";

openAllGroups();

const ROUNDS = 10_000;
const STATE_SIZE = 2 ** 20;

Deno.test(
  "DeviceSet adds and removes 10 000 devices in the space of two",
  requirement("ffi"),
  () => {
    using kvm = Kvm.open({ driver: new FakeKvm() });
    using vm = kvm.createVm();
    const state = SharedState.create(STATE_SIZE);
    const addresses = new AddressSpace({ physicalBits: 40, allocateFrom: HOLE_ADDRESS });
    using devices = new DeviceSet({ vm, state, addresses, interrupts: true, coalesces: false });
    const serial = uart16550({ id: "serial1", port: 0x2f8, gsi: 3, input: -1, output: -1 });
    const rng = virtioMmioPlan({ id: "rng1", device: "rng", spec: RNG_SPEC, blocking: true });
    const round = (): DeviceDescriptor[] => {
      const added = [devices.add(serial), devices.add(rng)];
      devices.publish();
      for (const { id } of added) devices.remove(id)();
      return added;
    };
    const first = round();
    const before = openDescriptors();
    for (let i = 1; i < ROUNDS / 2; i++) round();
    const last = round();
    assertEquals(last.map((device) => ({ ...device, incarnation: 0 })), [
      { ...first[0], incarnation: 0 },
      { ...first[1], incarnation: 0 },
    ]);
    assertEquals(last.map(({ incarnation }) => incarnation), [ROUNDS + 1, ROUNDS + 2]);
    assertEquals(openDescriptors(), before);
    assertEquals(devices.workers, 2);
    assertEquals(addresses.fixed(), []);
  },
);

Deno.test(
  "DeviceSet releases what a device took that could not be added",
  requirement("ffi"),
  () => {
    using kvm = Kvm.open({ driver: new FakeKvm() });
    using vm = kvm.createVm();
    const addresses = new AddressSpace({ physicalBits: 40, allocateFrom: HOLE_ADDRESS });
    using devices = new DeviceSet({
      vm,
      state: SharedState.create(STATE_SIZE),
      addresses,
      interrupts: true,
      coalesces: false,
    });
    const greedy = uart16550({
      id: "s",
      port: 0x2f8,
      gsi: 3,
      input: -1,
      output: -1,
      logSize: 2 ** 21,
    });
    const before = openDescriptors();
    for (let i = 0; i < 3; i++) {
      assertThrows(() => devices.add(greedy), VireoError, 'Cannot add device "s"');
    }
    assertEquals(openDescriptors(), before);
    const modest = uart16550({ id: "s", port: 0x2f8, gsi: 3, input: -1, output: -1 });
    assert(devices.add(modest).state > 0);
  },
);
