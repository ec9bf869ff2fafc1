/** The program from outside, run from the source and compiled: one table of cases for both. */

import { assertEquals, assertMatch } from "@std/assert";
import { type Case, FILES, NEGATIVES, OWN_FAULTS, WITH_KVM, WITHOUT_KVM } from "./main_cases.ts";
import { writeGuests } from "./support/guest_kernel.ts";
import { compiledProgram, type Program, runProgram, SOURCE } from "./support/program.ts";
import { requirement, skipped } from "./support/require.ts";

const FIXTURES = await Deno.makeTempDir({ prefix: "vireo-cases-" });
addEventListener("unload", () => Deno.removeSync(FIXTURES, { recursive: true }));
writeGuests(FIXTURES);
for (const [name, text] of Object.entries(FILES)) {
  await Deno.writeTextFile(`${FIXTURES}/${name}`, text);
}

const EXECUTABLE = await compiledProgram();
const NEEDS = requirement("ffi");
const NEEDS_KVM = requirement("kvm");
const NEEDS_STRACE = requirement("kvm", "strace");
const NEEDS_EXECUTABLE = skipped(EXECUTABLE.missing);

/** What a case needs in one form of the program. */
function needsOf(program: Program, needs: { readonly ignore: boolean }): { ignore: boolean } {
  return { ignore: needs.ignore || (program === EXECUTABLE && NEEDS_EXECUTABLE.ignore) };
}

for (const program of [SOURCE, EXECUTABLE]) {
  for (const one of WITHOUT_KVM) {
    Deno.test(
      `${program.name}: vireo ${one.args}`,
      needsOf(program, NEEDS),
      () => decide(program, one),
    );
  }
  for (const one of WITH_KVM) {
    const name = `${program.name}: vireo ${one.args} ${one.signal?.[1] ?? ""}`;
    Deno.test(name, needsOf(program, NEEDS_KVM), () => decide(program, one));
  }
  for (const one of OWN_FAULTS) {
    const name = `${program.name}: vireo ${one.args} without ${one.refused} is its own fault`;
    Deno.test(name, needsOf(program, NEEDS_STRACE), () => decide(program, one));
  }
}

/** Runs a case and compares all that it gives. */
async function decide(program: Program, one: Case): Promise<void> {
  const words = one.args.split(" ").filter((word) => word !== "");
  const args = words.map((word) => word.replace("<", `${FIXTURES}/`));
  const ended = await runProgram([...started(program, one), ...args], one);
  const seen = (text: string) => text.replaceAll(`${FIXTURES}/`, "<");
  matches(seen(ended.stderr), one.stderr ?? "");
  matches(seen(ended.stdout), one.stdout ?? "");
  assertEquals(ended.status, one.status);
}

/** What starts the program; with strace it is refused a system call. */
function started({ command }: Program, { refused }: Case): Program["command"] {
  if (refused === undefined) return command;
  const inject = `inject=${refused}:error=EPERM`;
  const trace = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${refused}`, "-e", inject];
  return ["strace", ...trace, ...command];
}

function matches(text: string, expected: string | RegExp): void {
  if (expected instanceof RegExp) assertMatch(text, expected);
  else assertEquals(text, expected);
}

for (const args of [["--help"], ["run", "--help"], ["check", "--schema"], ["completion", "zsh"]]) {
  Deno.test(
    `source and executable print the same for vireo ${args.join(" ")}`,
    NEEDS_EXECUTABLE,
    async () => {
      const [source, executable] = await Promise.all(
        [SOURCE, EXECUTABLE].map(({ command }) => runProgram([...command, ...args])),
      );
      assertEquals(executable, source);
    },
  );
}

for (const args of ["run --kernel ./off.img", "boot", "doctor"]) {
  Deno.test(
    `vireo ${args} on a platform without KVM says so and ends with 3 (row 1.2)`,
    NEEDS,
    async () => {
      const preload = new URL("support/other_platform.ts", import.meta.url).pathname;
      const [deno, command, ...more] = SOURCE.command;
      const program = [deno, command ?? "run", `--preload=${preload}`, ...more] as const;
      const ended = await runProgram([...program, ...args.split(" ")], { cwd: FIXTURES });
      assertMatch(
        ended.stdout + ended.stderr,
        /^(vireo: |FAIL {2}\/dev\/kvm +)Cannot run machines on linux with aarch64 processors.*use a host with Linux' KVM on x86_64\n/s,
      );
      assertEquals(ended.status, 3);
    },
  );
}

for (const { what, kernel = "off.img", toml, args, says } of NEGATIVES) {
  Deno.test(`${what} is refused in a file and in options (rows 0.3-0.5, 3.25)`, NEEDS, async () => {
    const file = `${FIXTURES}/negative.toml`;
    await Deno.writeTextFile(file, `[kernel]\npath = "${kernel}"\n${toml}\n`);
    const fromFile = await runProgram([...SOURCE.command, "run", file]);
    const flags = ["--kernel", `${FIXTURES}/${kernel}`, ...args.split(" ")];
    const fromOptions = await runProgram([...SOURCE.command, "run", ...flags]);
    assertMatch(fromFile.stderr, says);
    assertMatch(fromOptions.stderr, says);
    assertEquals([fromFile.status, fromOptions.status], [2, 2]);
  });
}
