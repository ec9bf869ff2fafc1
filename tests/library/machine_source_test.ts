/** One description, whichever way it is given. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/base/errors.ts";
import { describeMachine, type MachineSource } from "../../src/library/machine_source.ts";
import { splitWords } from "../../src/library/words.ts";

const OBJECT = {
  kernel: { path: "vmlinuz", cmdline: "console=ttyS0 quiet" },
  cpu: { count: 2 },
  memory: { size: "512M" },
  disk: [{ path: "a.img", readonly: true }],
  console: { backend: "none" },
} as const;
const FLAGS =
  '--kernel vmlinuz --cmdline "console=ttyS0 quiet" --cpus 2 --memory 512M --disk a.img,readonly --console none';
const TOML = `
[kernel]
path = "vmlinuz"
cmdline = "console=ttyS0 quiet"
[cpu]
count = 2
[memory]
size = "512M"
[[disk]]
path = "a.img"
readonly = true
[console]
backend = "none"
`;

/** Calls back with a file of this text in the working directory, which its paths are relative to. */
function withFile<T>(text: string, work: (path: string) => T): T {
  const path = Deno.makeTempFileSync({ dir: ".", suffix: ".toml" });
  try {
    Deno.writeTextFileSync(path, text);
    return work(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("describeMachine() gives one frozen value for an object, flags, words and a file", () => {
  const description = describeMachine(OBJECT);
  assert(Object.isFrozen(description) && Object.isFrozen(description.disk[0]));
  assertEquals(description.memory.size, 512 * 2 ** 20);
  assertEquals(describeMachine(FLAGS), description);
  assertEquals(describeMachine(splitWords(FLAGS)), description);
  withFile(TOML, (path) => {
    assertEquals(describeMachine(path), description);
    assertEquals(describeMachine(new URL(`file://${Deno.realPathSync(path)}`)), description);
    const changed = describeMachine([path, "--cpus", "3"]);
    assertEquals([changed.cpu.count, changed.memory], [3, description.memory]);
  });
});

/** Keys and problems of the mistakes in a source. */
function mistakes(source: MachineSource): string[] {
  const { message } = assertThrows(() => describeMachine(source), ConfigError);
  return message.split("\n").map((line) => line.replace(/^.*?(?=(cpu|kernel|memory)\.)/, ""))
    .sort();
}

Deno.test("describeMachine() tells all mistakes of any source in one error", () => {
  const found = mistakes({ cpu: { count: 0 }, memory: { sise: "1G" } as object });
  assertEquals(found.length, 3, found.join("\n"));
  assertMatch(
    found.join("\n"),
    /cpu\.count: .*\n.*kernel\.path: It is missing.*\n.*memory\.sise: /s,
  );
  assertEquals(mistakes(["--set", "cpu.count=0", "--set", "memory.sise=1G"]), found);
  const toml = '[cpu]\ncount = 0\n[memory]\nsise = "1G"\n';
  assertEquals(withFile(toml, (path) => mistakes(path)), found);
});

Deno.test("describeMachine() knows flags by the table of `run`", () => {
  const refused = (flags: string) =>
    assertThrows(() => describeMachine(flags), ConfigError).message;
  assertMatch(refused("--kernal vmlinuz"), /--kernal: .*did you mean --kernel/);
  assertMatch(refused("--kernel"), /--kernel: PATH is missing behind it/);
  assertMatch(refused('--kernel "vm linuz'), /quotation mark has no partner/);
});

Deno.test("describeMachine() wants a kernel where no loader stands in for it (row 0.14)", () => {
  assertMatch(
    assertThrows(() => describeMachine({}), ConfigError).message,
    /^kernel\.path: It is missing/,
  );
  assertEquals(describeMachine({}, { hasLoader: true }).kernel.path, "");
  assertMatch(
    assertThrows(() => describeMachine(OBJECT, { hasLoader: true }), ConfigError).message,
    /^kernel\.path: A loader is given too/,
  );
});

Deno.test("describeMachine() keeps from Linux what only a program's own guest runs on (row 1.29)", () => {
  const given = { machine: { interrupts: false }, memory: { base: "16M" } };
  const description = describeMachine(given, { hasLoader: true });
  assertEquals([description.machine.interrupts, description.memory.base], [false, 2 ** 24]);
  const { message } = assertThrows(
    () => describeMachine({ ...given, kernel: { path: "vmlinuz" } }),
    ConfigError,
  );
  assertMatch(message, /machine\.interrupts: Linux does not run.*\n.*memory\.base: Linux does not/);
  const disk = [{ size: "1M" }];
  assertMatch(
    assertThrows(() => describeMachine({ ...given, disk }, { hasLoader: true }), ConfigError)
      .message,
    /disk: A disk needs interrupts/,
  );
});

Deno.test("splitWords() splits as a shell does, without expanding anything", () => {
  assertEquals(splitWords(`  --a 'b c' d"e $f"\\ g  "h \\" i" ''\n`), [
    "--a",
    "b c",
    "de $f g",
    'h " i',
    "",
  ]);
});
