import { assert, assertEquals, assertMatch } from "@std/assert";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";
import { Heartbeat, LineSplitter, linesTo, runCommand } from "./command.ts";

async function shell(script: string, bound: number, signal?: AbortSignal) {
  const lines: string[] = [];
  const outputs = linesTo((line) => lines.push(line));
  const command = { program: "sh", args: ["-c", script], bound, outputs };
  const ended = await runCommand(signal === undefined ? command : { ...command, signal });
  return { ...ended, lines };
}

Deno.test(
  "runCommand() passes lines of both outputs on and gives the status",
  requirement("ffi"),
  async () => {
    const { code, problem, lines } = await shell(
      "echo out; echo err >&2; printf rest; exit 7",
      10_000,
    );
    assertEquals([code, problem], [7, undefined]);
    assertEquals(lines.sort(), ["err", "out", "rest"]);
  },
);

Deno.test("runCommand() says which signal ended the program", requirement("ffi"), async () => {
  const { problem } = await shell("kill -SEGV $$", 10_000);
  assertEquals(problem, "ended by SIGSEGV");
});

Deno.test("runCommand() kills what passes its bound", requirement("ffi"), async () => {
  const { code, problem } = await shell("exec sleep 60", 200);
  assertEquals(problem, "killed after its bound of 200 ms");
  assert(code !== 0);
});

Deno.test("runCommand() stops when told to", requirement("ffi"), async () => {
  const stop = new AbortController();
  stop.abort();
  assertEquals((await shell("exec sleep 60", 60_000, stop.signal)).problem, "stopped from outside");
});

Deno.test(
  "runCommand() does not wait for what a left-over child holds open",
  requirement("ffi"),
  async () => {
    const { code } = await shell("sleep 20 & echo started", 60_000);
    assertEquals(code, 0);
  },
);

Deno.test("LineSplitter joins what comes in pieces, between the bytes of a character too", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  const bytes = new TextEncoder().encode("aé\nb\n\nc");
  for (const byte of bytes) splitter.push(Uint8Array.of(byte));
  assertEquals(splitter.pending, "c");
  splitter.flush();
  assertEquals(lines, ["aé", "b", "", "c"]);
});

Deno.test("Heartbeat speaks after a quiet time, and not while there is output", async () => {
  const lines: string[] = [];
  {
    using heartbeat = new Heartbeat(() => "Linux", (line) => lines.push(line), 200);
    for (let i = 0; i < 8; i++) {
      await pause(50);
      heartbeat.beat();
    }
    assertEquals(lines, []);
    await pause(600);
  }
  assertMatch(lines[0] ?? "", /^… Linux: still running after \d/);
});
