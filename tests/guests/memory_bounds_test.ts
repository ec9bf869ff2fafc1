/** The least and the most RAM that a machine may have, on whatever KVM there is. */

import { assertEquals, assertThrows } from "@std/assert";
import { splitRam } from "../../src/arch/x86_64/layout.ts";
import { realModeEntry } from "../../src/arch/x86_64/registers.ts";
import { ConfigError } from "../../src/base/errors.ts";
import { describe } from "../../src/config/check.ts";
import { openAllGroups } from "../../src/host/libc.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { Loader } from "../../src/machine/loader.ts";
import { requirement, skipped } from "../support/require.ts";

openAllGroups();

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

/** Bits that 1 TiB of RAM and the hole below 4 GiB take. */
const WIDTH = 41;

/** How many bits of address this host gives a guest; 0 without a KVM. */
function hostWidth(): number {
  try {
    using kvm = Kvm.open();
    return kvm.physicalAddressBits();
  } catch {
    return 0;
  }
}

const NEEDS = requirement("kvm");
const WIDE = NEEDS.ignore ? NEEDS : skipped(
  hostWidth() < WIDTH
    ? `guest addresses have ${hostWidth()} bits on this host, and 1 TiB needs ${WIDTH}`
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

Deno.test("1 TiB of RAM is refused where addresses are narrower, with their width (rows 0.6, 4.4)", () => {
  const error = assertThrows(
    () => splitRam(2 ** 40, WIDTH - 1),
    ConfigError,
    "40 bits on this host",
  );
  assertEquals(error.path, "memory.size");
});
