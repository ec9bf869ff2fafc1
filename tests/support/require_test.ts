import { assertEquals, assertMatch } from "@std/assert";
import { kvmOfFlags } from "../../src/kvm/host_kvm.ts";
import { commandMissing, formatSkip, parseSkip, requirement } from "./require.ts";

const HERE = "tests/support/require_test.ts";

async function outputOf(flags: readonly string[]): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-require-" });
  const module = JSON.stringify(import.meta.resolve("./require.ts"));
  await Deno.writeTextFile(
    `${folder}/x_test.ts`,
    `import { requirement } from ${module};\nDeno.test("x", requirement("ffi"), () => {});\n`,
  );
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", ...flags, `${folder}/x_test.ts`],
    env: { NO_COLOR: "1" },
  }).output();
  await Deno.remove(folder, { recursive: true });
  return new TextDecoder().decode(stdout);
}

Deno.test(
  "requirement() skips with a printed reason without permissions",
  requirement("ffi"),
  async () => {
    const text = await outputOf([]);
    assertMatch(text, /^Skips \S+x_test\.ts:2: no ffi permission: run `deno test -A`/m);
    assertMatch(text, /x \.\.\. ignored/);
  },
);

Deno.test(
  "requirement() runs the test and prints nothing where all is there",
  requirement("ffi"),
  async () => {
    const text = await outputOf(["-A"]);
    assertMatch(text, /x \.\.\. ok/);
    assertEquals(/Skips/.test(text), false);
  },
);

Deno.test("parseSkip() reads what formatSkip() writes, and no other line", () => {
  const skip = { file: HERE, line: 12, reason: "no KVM: cannot open /dev/kvm" };
  assertEquals(parseSkip(formatSkip(skip)), skip);
  assertEquals(parseSkip("Skips a beat"), undefined);
});

Deno.test("commandMissing() looks the search path up", requirement("ffi"), () => {
  assertEquals(commandMissing("sh"), undefined);
  assertEquals(commandMissing("no-such-program"), "no-such-program not installed");
});

Deno.test("kvmOfFlags() tells a complete KVM by vmx or svm", () => {
  assertEquals(kvmOfFlags("flags\t\t: fpu sse svm npt\n").kind, "full");
  assertEquals(kvmOfFlags("model\t: x\nflags\t\t: fpu vmx\n").kind, "full");
  assertEquals(kvmOfFlags("flags\t\t: fpu svm_lock sse\nbugs\t: vmx\n").kind, "paravirtual");
});
