/** What the kernel is asked for when a machine is built, as strace sees it. */

import { assertEquals, assertMatch } from "@std/assert";
import { requirement } from "../support/require.ts";

const PROGRAM = new URL("./built_machine.ts", import.meta.url).pathname;

/** The ioctls of KVM's in their order, a line each. */
async function ioctls(): Promise<string[]> {
  const output = await Deno.makeTempFile();
  const deno = [Deno.execPath(), "run", "-A", "--no-check", "--quiet", PROGRAM];
  const { code, stderr } = await new Deno.Command("strace", {
    args: ["-f", "-e", "trace=ioctl", "-e", "signal=none", "-o", output, ...deno],
  }).output();
  const lines = (await Deno.readTextFile(output)).split("\n");
  await Deno.remove(output);
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return lines.filter((line) => line.includes("KVM_"));
}

Deno.test(
  "buildMachine() makes irqchip and PIT, then vCPUs, each memory region in a slot of its own, says strace (rows 3.13, 3.18)",
  requirement("kvm", "strace"),
  async () => {
    const lines = await ioctls();
    const names = lines.map((line) => /KVM_[A-Z0-9_]+/.exec(line)?.[0] ?? "");
    assertEquals(names.filter((name) => name.startsWith("KVM_CREATE_")), [
      "KVM_CREATE_VM",
      "KVM_CREATE_IRQCHIP",
      "KVM_CREATE_PIT2",
      "KVM_CREATE_VCPU",
      "KVM_CREATE_VCPU",
    ]);
    const [low = "", high = "", ...more] = lines.filter((line) =>
      line.includes("KVM_SET_USER_MEMORY_REGION")
    );
    assertEquals(more, []);
    assertMatch(
      low,
      /\{slot=0, flags=0, guest_phys_addr=(0|NULL), memory_size=3489660928, .*\}\) = 0$/,
    );
    assertMatch(
      high,
      /\{slot=1, flags=0, guest_phys_addr=0x100000000, memory_size=1879048192, .*\}\) = 0$/,
    );
  },
);
