/** `boot --exec`: three channels of their own and the command's status. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { linuxRequirement, textOf } from "../support/linux_guest.ts";
import { BOOT, boot, redirectedBoot, RunningBoot } from "./boot_command.ts";

const NEEDS = linuxRequirement();
const MEGABYTES = 3_000_000;
/** Bytes that a pipe holds. */
const PIPE_SIZE = 65536;

Deno.test(
  "boot --exec carries 3 MB both ways and to stderr, whatever the kernel logs",
  NEEDS,
  async () => {
    const input = randomBytes(MEGABYTES);
    const command = `
    # The level that even a quiet kernel prints.
    while :; do echo '<0>noise of the kernel' > /dev/kmsg; sleep 0.02; done &
    cat > /tmp/input
    cat /tmp/input >&2 & copier=$!
    cat /tmp/input
    wait $copier
    exit 3`;
    const { code, stdout, stderr } = await boot(["--exec", command], { stdin: input });
    assertEquals(stdout.length, input.length, textOf(stderr.subarray(0, 1000)));
    assert(equal(stdout, input), "stdout is not what stdin was");
    assertEquals(stderr.length, input.length, /vireo: .*/.exec(textOf(stderr))?.[0]);
    assert(equal(stderr, input), "stderr is not what stdin was");
    assertEquals(code, 3);
  },
);

Deno.test("boot --boot-timer says when the guest's start got how far", NEEDS, async () => {
  const { code, stdout, stderr } = await boot(["--boot-timer", "--verbose", "--exec", "echo here"]);
  assertEquals([code, textOf(stdout)], [0, "here\n"]);
  const [, table = ""] = textOf(stderr).split(
    "Boot timer: ms since the start, ms since the row above\n",
  );
  const rows = table.trimEnd().split(/\r?\n/).map((line) =>
    /^ +([\d.]+) +([\d.]+) {2}(.*)$/.exec(line)
  );
  assertEquals(rows.map((row) => row?.[3]), [
    "process, to 10 ms",
    "program loaded",
    "VM created",
    "kernel in memory",
    "first KVM_RUN",
    "first serial output",
    "init",
    "command or shell",
    "guest's end",
  ]);
  const times = rows.map((row) => Number(row?.[1]));
  assertEquals(times, times.toSorted((a, b) => a - b));
});

Deno.test("boot --exec copies from stdin to stdout as it comes", NEEDS, async () => {
  await using running = new RunningBoot(["--exec", "echo go; cat; echo over >&2; exit 255"]);
  await running.sees("go\n");
  for (const line of ["one", "two\0 \x03\x04\x1b", "three"]) {
    await running.type(`${line}\n`);
    await running.sees(`${line}\n`);
  }
  await running.type("", { end: true });
  const { code, stderr } = await running.end();
  assertEquals([code, textOf(stderr)], [255, "over\n"]);
});

Deno.test(
  "boot --exec with stdin from /dev/null finds an end, and tells of a death by signal",
  NEEDS,
  async () => {
    const { code, stdout, stderr } = await boot(["--exec", "cat; echo end; kill -9 $$"]);
    assertEquals([code, textOf(stdout), textOf(stderr)], [128 + 9, "end\n", ""]);
  },
);

Deno.test(
  "boot --exec takes a command of any length and quoting, on the machine that was asked for",
  NEEDS,
  async () => {
    const text = `'"\\$HOME \`date\` !*?[a] äöü\t%s`;
    const long = "x".repeat(100_000);
    const command = `printf '%s\n' '${text.replaceAll("'", `'\\''`)}'
    nproc
    sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo
    wc -c << END
${long}
END`;
    const machine = ["--cpus", "3", "--memory", "1G", "--verbose"];
    const { code, stdout, stderr } = await boot([...machine, "--exec", command]);
    const [said, cpus, memory, length] = textOf(stdout).trimEnd().split("\n");
    assertEquals([code, said, cpus, length], [0, text, "3", `${long.length + 1}`]);
    assertEquals(Math.ceil(Number(memory) / 2 ** 18), 4, `${memory} KiB are not nearly 1 GiB`);
    assertMatch(textOf(stderr), /Linux version \d[^]*Power down/);
  },
);

Deno.test("boot --exec ends when nobody reads its output any more", NEEDS, async () => {
  await using running = new RunningBoot(["--exec", "yes"], { stdout: "kept", stdin: "null" });
  const reader = running.unread.getReader();
  const { value } = await reader.read();
  assertEquals(textOf(value ?? new Uint8Array()).slice(0, 4), "y\ny\n");
  await reader.cancel();
  const { code } = await running.end();
  // As yes ends on a full disk: 1.
  assertEquals(code, 1);
});

Deno.test(
  "boot --exec whose stdout is on a full disk says so and ends with 125",
  NEEDS,
  async () => {
    const { code, said } = await redirectedBoot(">/dev/full", ["--exec", "echo hi"]);
    assertEquals(code, 125, said);
    assertMatch(
      said,
      /^vireo: Cannot write to stdout: .*no space left.*; see that its disk has room/im,
    );
  },
);

Deno.test("boot --exec gives a late reader all of the output", NEEDS, async () => {
  // More than the pipe holds and few enough for the guest's queue, so that the guest does not wait for the reader, who is later
  // than the 10 s that a machine's close waits by itself.
  const length = 200_000;
  const errors = await Deno.makeTempFile();
  const shell =
    `"$@" 2> ${errors} | { until grep over ${errors}; do sleep 1; done; sleep 15; wc -c; }`;
  const options = ["--exec", `head -c ${length} /dev/zero; echo over >&2`];
  const command = ["sh", "-c", shell, "sh", ...BOOT, ...options] as const;
  await using running = new RunningBoot([], { command, stdin: "null" });
  const { stdout } = await running.end();
  const said = await Deno.readTextFile(errors);
  await Deno.remove(errors);
  assertEquals(textOf(stdout), `over\n${length}\n`, said);
});

Deno.test(
  "boot --exec keeps its --timeout while its output is stuck, and stalls nothing else",
  NEEDS,
  async () => {
    const command = `( while sleep 0.5; do echo tick >&2; done ) & yes`;
    const started = performance.now();
    await using running = new RunningBoot(["--exec", command, "--timeout", "45s"], {
      stdout: "kept",
      stdin: "null",
    });
    const { code, stderr } = await running.end();
    const took = performance.now() - started;
    assertEquals(code, 125);
    assertMatch(textOf(stderr), /^(tick\n){4,}/);
    assertMatch(textOf(stderr), /timeout/);
    assert(took < 100_000, `it took ${took} ms`);
    const output = await new Response(running.unread).bytes();
    assert(output.length >= PIPE_SIZE, `only ${output.length} bytes were in the pipe`);
  },
);

Deno.test("boot gives its shell what was typed before it was up", NEEDS, async () => {
  const { code, stdout } = await boot([], { stdin: "echo typed $((1 + 1)) times\nexit\n" });
  assertMatch(textOf(stdout), /^typed 2 times\r?$/m);
  assertEquals(code, 0);
});

Deno.test("boot keeps its --timeout while its terminal's output is stuck", NEEDS, async () => {
  const started = performance.now();
  // A pipe that is nearly full: the guest's console is slow.
  const command = ["sh", "-ec", 'head -c 65000 /dev/zero; exec "$@"', "sh", ...BOOT] as const;
  await using running = new RunningBoot(["--timeout", "60s"], { command, stdout: "kept" });
  await running.type("yes\n");
  const { code } = await running.end();
  const took = performance.now() - started;
  assertEquals(code, 5);
  assert(took < 120_000, `it took ${took} ms`);
  const output = await new Response(running.unread).bytes();
  assert(output.length >= PIPE_SIZE, `only ${output.length} bytes were in the pipe`);
});

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
