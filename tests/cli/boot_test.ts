import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ENODEV } from "../../src/abi/linux.ts";
import { VireoError } from "../../src/base/errors.ts";
import { noKvm } from "../../src/kvm/host_kvm.ts";
import { requireFit } from "../../src/cli/boot.ts";
import { explain, statusOfError } from "../../src/cli/exit_status.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

async function vireo(...args: string[]) {
  return await vireoWith({}, ...args);
}

async function vireoWith(env: Readonly<Record<string, string>>, ...args: string[]) {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", MAIN, ...args],
    stdin: "null",
    env,
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("vireo boot --help shows its options on stdout", async () => {
  const { code, stdout, stderr } = await vireo("boot", "--help");
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^ {2}--on-reboot exit\|restart /m);
});

Deno.test("vireo boot ends with 2 on a usage error, 125 where a command was to run", async () => {
  assertEquals(await vireo("boot", "--cpus", "many"), {
    code: 2,
    stdout: "",
    stderr: 'vireo: --cpus: "many" is no number of vCPUs; give 1 to 255\n',
  });
  assertEquals((await vireo("boot", "--exec", "true", "--cpus", "many")).code, 125);
  assertEquals((await vireo("boot", "--exec=true", "--cpu", "1")).code, 125);
});

Deno.test("vireo boot says what is wrong with a disk before it starts the rig, status 2", async () => {
  const rig = ["boot", "--rig=always", `--kernel=${MAIN}`, `--initrd=${MAIN}`];
  const { code, stderr } = await vireo(...rig, "--disk=/no/such/disk");
  assertEquals(code, 2, stderr);
  assertMatch(stderr, /--disk: .*"\/no\/such\/disk".*ENOENT/);
  const unshared = await vireo(...rig, "--disk=/proc/self/cmdline");
  assertEquals(unshared.code, 2, unshared.stderr);
  assertEquals((await vireo(...rig, "--disk=/no/such/disk", "--exec=true")).code, 125);
});

Deno.test("vireo boot says what is no kernel before it starts the rig, status 2", async () => {
  // Where no program is found there is no rig, which would be status 3.
  const files = [`--kernel=${MAIN}`, `--initrd=${MAIN}`];
  const env = { PATH: "/nonexistent" };
  const { code, stderr } = await vireoWith(env, "boot", "--rig=always", ...files);
  assertEquals(code, 2, stderr);
  assertMatch(stderr, /^vireo: Cannot load kernel ".*main\.ts": it is no kernel/m);
});

Deno.test("vireo without a command it knows shows its usage and ends with 2", async () => {
  const unknown = await vireo("constructor");
  assertEquals([unknown.code, unknown.stdout], [2, ""]);
  assertMatch(unknown.stderr, /^vireo: There is no command "constructor"\nUsage: vireo COMMAND/);
  assertEquals((await vireo()).code, 2);
  assertEquals((await vireo("--help")).code, 0);
});

Deno.test("requireFit() refuses a KVM that cannot run Linux, which is status 3", () => {
  requireFit({ kind: "full", reason: "" });
  const none = assertThrows(
    () => requireFit(noKvm(ENODEV)),
    VireoError,
    "Cannot boot Linux on this system's KVM: /dev/kvm does not open: ENODEV (no such device); " +
      "the device has no driver: turn on SVM or VT-x in the firmware, then `modprobe kvm_amd` or " +
      "`modprobe kvm_intel`; or leave --rig=never out",
  );
  const paravirtual = assertThrows(
    () => requireFit({ kind: "paravirtual", reason: "no vmx or svm" }),
    VireoError,
    "no vmx or svm; leave --rig=never out",
  );
  assertEquals([none, paravirtual].map(statusOfError), [3, 3]);
});

Deno.test("statusOfError() tells what the user can mend from what is our own fault", () => {
  const status = (kind: VireoError["kind"]) => statusOfError(new VireoError(kind, "X"));
  assertEquals(status("environment"), 2);
  assertEquals(status("load_memory"), 2);
  assertEquals(status("internal"), 1);
  assertEquals(statusOfError(new TypeError("x")), 1);
});

Deno.test("explain() tells what went wrong first, though the close after it fails too", () => {
  const first = new VireoError("open", "Cannot open KVM");
  const both = new SuppressedError(new VireoError("internal", "Cannot stop vCPU 0"), first);
  assertEquals(explain(both), "Cannot open KVM\nAnd at the close: Cannot stop vCPU 0");
  assertEquals(statusOfError(both), 3);
  assertMatch(explain(new TypeError("unforeseen")), /^TypeError: unforeseen\n +at /);
  assertEquals(explain("text"), "text");
});
