/** The examples do what they say, as their readers run them. Those with Linux are in tests/linux. */

import { assertEquals, assertMatch } from "@std/assert";
import { guestKernel, POWER_OFF, says, SLEEP_CONTROL } from "../support/guest_kernel.ts";
import { requirement } from "../support/require.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

/** Runs an example; what it printed, and its exit status. */
async function run(name: string, ...args: readonly string[]) {
  const script = new URL(name, EXAMPLES).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out = "", said = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, said };
}

Deno.test(
  "examples/hello.ts prints what its guest says (row 0.12)",
  requirement("kvm"),
  async () => {
    const { code, out, said } = await run("hello.ts");
    assertEquals([out, code], ["Hello from real mode\nThe guest has halted\n", 0], said);
  },
);

Deno.test(
  "examples/several.ts runs its machines at once (row 0.29)",
  requirement("kvm"),
  async () => {
    const { code, out, said } = await run("several.ts", "4");
    assertEquals([out, code], ["A B C D\n", 0], said);
  },
);

Deno.test("examples/device.ts answers its guest", requirement("kvm"), async () => {
  const { code, out, said } = await run("device.ts");
  assertEquals([out, code], ["The guest got 49, and has halted\n", 0], said);
});

Deno.test("examples/from_file.ts runs examples/vm.toml", requirement("kvm"), async () => {
  const folder = await Deno.makeTempDir({ prefix: "vireo-example-" });
  try {
    await Deno.copyFile(new URL("vm.toml", EXAMPLES), `${folder}/vm.toml`);
    const kernel = guestKernel(says("x").eax(POWER_OFF).out(SLEEP_CONTROL));
    await Deno.writeFile(`${folder}/vmlinuz`, kernel);
    await Deno.writeFile(`${folder}/initrd.cpio`, new Uint8Array(512));
    const { code, said } = await run("from_file.ts", `${folder}/vm.toml`);
    assertEquals(code, 0, said);
    assertMatch(
      said,
      /info: machine: The machine is built\n.*2 vCPUs\n.*The guest powered itself off/s,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const name of ["hello.ts", "dice_device.ts"]) {
  Deno.test(`README shows examples/${name} word for word`, requirement("ffi"), async () => {
    const [, , ...lines] = (await Deno.readTextFile(new URL(name, EXAMPLES))).split("\n");
    const readme = await Deno.readTextFile(new URL("../README.md", EXAMPLES));
    assertEquals(readme.includes(`\`\`\`ts\n${lines.join("\n").trim()}\n\`\`\`\n`), true);
  });
}
