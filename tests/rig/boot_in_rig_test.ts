/** `boot` in the rig, seen from outside of it: what holds however little its output is read. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { BOOT, redirectedBoot, RunningBoot } from "../linux/boot_command.ts";
import { runProgram, WITHOUT_KVM_RIGHTS } from "../support/program.ts";
import { requirement } from "../support/require.ts";

const NEEDS = requirement("qemu", "xz");
const [DENO, ...ARGUMENTS] = BOOT;
const IN_RIG = [DENO, ...ARGUMENTS.slice(0, -1), "--rig=always"] as const;

/** A boot in the rig whose command fills its stdout, which nobody reads; resolves when the first of it has come. */
async function stuckBoot(...options: readonly string[]): Promise<RunningBoot> {
  const how = { command: IN_RIG, stdin: "null", stdout: "kept" } as const;
  const running = new RunningBoot(["--exec", "yes", ...options], how);
  const reader = running.unread.getReader();
  await reader.read();
  reader.releaseLock();
  return running;
}

Deno.test("boot in the rig keeps its --timeout while its output is stuck", NEEDS, async () => {
  const limit = 20_000;
  await using running = await stuckBoot("--timeout", `${limit}ms`);
  const seen = performance.now();
  const { code, stderr } = await running.end();
  const took = performance.now() - seen;
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 125, said);
  assertMatch(said, /No end within --timeout of 20 s/);
  // It began to count before there was output, and has a margin of six seconds.
  assert(took < limit + 10_000, `it took ${took} ms`);
});

Deno.test(
  "boot takes the rig where it may not open /dev/kvm, and says so (row 0.7)",
  requirement("qemu", "xz", "namespaces", "kvm"),
  async () => {
    const boot = [...WITHOUT_KVM_RIGHTS, DENO, ...ARGUMENTS.slice(0, -1)] as const;
    const { status, stdout, stderr } = await runProgram([...boot, "--exec", "nproc; exit 7"]);
    assertEquals([status, stdout], [7, "2\n"], stderr);
    assertMatch(
      stderr,
      /^vireo: booting in the rig, a KVM that QEMU emulates, since \/dev\/kvm does not open: EACCES \(permission denied\)$/m,
    );
  },
);

Deno.test(
  "boot --exec in the rig whose stdout is on a full disk says so and ends with 125",
  NEEDS,
  async () => {
    const { code, said } = await redirectedBoot(">/dev/full", ["--exec", "echo hi"], IN_RIG);
    assertEquals(code, 125, said);
    assertMatch(
      said,
      /^vireo: Cannot write to stdout: .*no space left.*; see that its disk has room/im,
    );
  },
);

Deno.test(
  "boot --exec in the rig with a closed stdout gives the command's status",
  NEEDS,
  async () => {
    const { code, said } = await redirectedBoot(">&-", ["--exec", "echo hi; exit 3"], IN_RIG);
    assertEquals(code, 3, said);
    assertMatch(said, /^vireo: booting in the rig, .*\n$/);
  },
);

Deno.test("boot in the rig ends at a signal while its output is stuck", NEEDS, async () => {
  await using running = await stuckBoot();
  running.kill("SIGTERM");
  const { code, stderr } = await running.end();
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 128 + 15, said);
  assertMatch(said, /Ended by SIGTERM/);
});
