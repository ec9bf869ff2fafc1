/** The least and the most RAM that a machine may have, on whatever KVM there is. */

import { assertEquals, assertRejects } from "@std/assert";
import { realModeEntry } from "../../src/arch/x86_64/registers.ts";
import { ConfigError } from "../../src/base/errors.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { createMachine } from "../../src/library/create_machine.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import { describe } from "../support/describe.ts";
import { hostAddressBits, WIDTH_OF_1_TIB } from "../support/address_width.ts";
import { FakeKvm } from "../support/fake_kvm.ts";
import { requirement, skipped } from "../support/require.ts";

openAllGroups();

const MIB = 2 ** 20;
const CODE = 0x1000;

/** `mov al, 'A'; mov dx, 0x3f8; out dx, al; mov al, 7; out 0xf4, al; hlt` in 16 bits. */
const STUB = [0xb0, 0x41, 0xba, 0xf8, 0x03, 0xee, 0xb0, 7, 0xe6, 0xf4, 0xf4];

const realMode: Loader = {
  loadMemory: (_info, memory) => memory.write(CODE, Uint8Array.from(STUB)),
  loadVcpu: () => realModeEntry(0, CODE),
};

Deno.test("a machine of 1 MiB runs a real-mode stub (row 0.6)", requirement("kvm"), async () => {
  const config = { memory: 2 ** 20, rng: false, debugExit: true };
  await using machine = await buildMachine(config, { loader: realMode });
  const { reason } = await machine.run();
  assertEquals([reason, new TextDecoder().decode(machine.serialLog())], ["debug-exit", "A"]);
});

Deno.test("a description takes 1 MiB and 1 TiB of RAM (row 0.6)", () => {
  const sizeOf = (size: string) =>
    describe({ kernel: { path: "/vmlinuz" }, memory: { size } }).memory.size;
  assertEquals([sizeOf("1M"), sizeOf("1T")], [2 ** 20, 2 ** 40]);
});

const NEEDS = requirement("kvm");
const WIDE = NEEDS.ignore ? NEEDS : skipped(
  hostAddressBits() < WIDTH_OF_1_TIB
    ? `guest addresses have ${hostAddressBits()} bits on this host, and 1 TiB needs ${WIDTH_OF_1_TIB}`
    : undefined,
);

Deno.test(
  "a machine of 1 TiB runs where addresses are wide enough (rows 0.6, 4.4)",
  WIDE,
  async () => {
    const config = { memory: 2 ** 40, rng: false, debugExit: true };
    await using machine = await buildMachine(config, { loader: realMode });
    const { reason } = await machine.run();
    assertEquals([reason, new TextDecoder().decode(machine.serialLog())], ["debug-exit", "A"]);
  },
);

for (
  const { addressBits, size } of [{ addressBits: 40, size: "1T" }, {
    addressBits: 36,
    size: "64772M",
  }]
) {
  Deno.test(
    `a machine of ${size} is refused where addresses have ${addressBits} bits (rows 0.6, 4.4)`,
    requirement("ffi"),
    async () => {
      const driver = new FakeKvm({ addressBits });
      const error = await assertRejects(
        () => createMachine({ memory: { size } }, { loader: realMode, driver }),
        ConfigError,
        `guest physical addresses have ${addressBits} bits on this host`,
      );
      assertEquals([error.path, driver.openFds.size], ["memory.size", 0]);
      assertEquals(driver.argumentsOf("KVM_SET_USER_MEMORY_REGION"), []);
    },
  );
}

Deno.test(
  "a machine takes all RAM that narrow addresses reach: 64 GiB but for the hole (rows 0.6, 4.4)",
  requirement("ffi"),
  async () => {
    const driver = new FakeKvm({ addressBits: 36 });
    const memory = { size: "64768M" };
    await using machine = await createMachine({ memory }, { loader: realMode, driver });
    assertEquals(machine.memory.regions.map(({ size }) => size), [3328 * MIB, 60 * 1024 * MIB]);
  },
);
