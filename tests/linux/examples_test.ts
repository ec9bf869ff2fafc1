/** The examples with a real Linux, as their readers run them. */

import { assertEquals, assertMatch } from "@std/assert";
import { linuxRequirement } from "../support/linux_guest.ts";
import { lines, RunMachine } from "./run_machine.ts";

const NEEDS = linuxRequirement();
const EXAMPLES = new URL("../../examples/", import.meta.url);
const TOML = '[cpu]\ncount = 2\n[memory]\nsize = "128M"\n';

Deno.test("examples/expect_boot.ts waits for the prompt, types and checks", NEEDS, async () => {
  using machine = await RunMachine.make({ toml: TOML, script: "PS1='guest # ' sh -i 2>&1" });
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", new URL("expect_boot.ts", EXAMPLES).pathname],
    env: { VM: `${machine.folder}/vm.toml`, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out = "", said = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals(code, 0, `${out}${said}`);
  assertMatch(out ?? "", /Linux boots to a shell and counts its processors \.\.\. ok/);
});

Deno.test("examples/from_file.ts boots Linux from a file", NEEDS, async () => {
  using machine = await RunMachine.make({ toml: TOML, script: "echo it runs on $(nproc)" });
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", new URL("from_file.ts", EXAMPLES).pathname],
      `${machine.folder}/vm.toml`,
    ],
    stdin: "null",
  }).output();
  const [out = "", said = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, out?.replaceAll("\r", "")], [0, "it runs on 2\n"], said);
});

Deno.test(
  "examples/virtio_device.ts is the entropy that Linux reads from /dev/hwrng",
  NEEDS,
  async () => {
    using machine = await RunMachine.make({
      toml: `${TOML}[console]\nbackend = "file"\npath = "console.txt"\n`,
      script: "cat /sys/class/misc/hw_random/rng_current; head -c 64 /dev/hwrng | od -An -v -tx1",
    });
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        new URL("virtio_device.ts", EXAMPLES).pathname,
        `${machine.folder}/vm.toml`,
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals([code, said], [0, "The guest powered itself off (vCPU 0)\n"]);
    const [current, ...dump] = lines(machine.text("console.txt")).trimEnd().split("\n");
    assertMatch(current ?? "", /^virtio_rng/);
    assertMatch(dump.join(""), /01 02 03 04 05 06 01 02 03 04 05 06 01/);
  },
);
