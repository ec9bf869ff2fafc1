/** The executable where no KVM runs Linux: alone in a folder it boots in the rig, whose agent it is as well. */

import { assertEquals } from "@std/assert";
import { OLDEST_DENO } from "./runner/hosts.ts";
import { compiledProgram, runProgram } from "./support/program.ts";
import { requirement, skipped } from "./support/require.ts";

const EXECUTABLE = await compiledProgram();
const [VIREO] = EXECUTABLE.command;
const RIG = requirement("qemu", "xz");
const COMPILED = skipped(EXECUTABLE.missing);
const AGAIN = skipped(
  Deno.version.deno === OLDEST_DENO ? "the executable is the one that newer Denos test" : undefined,
);

Deno.test(
  "the executable boots Linux in the rig and gives a command's output and status",
  { ignore: RIG.ignore || COMPILED.ignore || AGAIN.ignore },
  async () => {
    const command = 'test "$(nproc)" = 2 && cat && exit 7';
    const ended = await runProgram([VIREO, "boot", "--rig=always", "--exec", command], {
      stdin: "through the rig\n",
    });
    assertEquals([ended.status, ended.stdout], [7, "through the rig\n"], ended.stderr);
  },
);
