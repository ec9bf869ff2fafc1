import { assert, assertEquals, assertRejects } from "@std/assert";
import { Runner } from "../../src/rig/runner.ts";
import { libcRequirement } from "../support/libc.ts";
import { Capture, LocalAgent, randomBytes, streamOf } from "./local_agent.ts";

const gate = libcRequirement();

/** Runs a shell script through the agent on this machine. */
async function shell(script: string, more: Parameters<Capture["options"]>[0] = {}) {
  await using agent = await LocalAgent.start();
  const capture = new Capture();
  const { code } = await agent.runner.run(["sh", "-c", script], capture.options(more));
  return { code, stdout: await capture.text("stdout"), stderr: await capture.text("stderr") };
}

Deno.test("Runner.run() gives status, stdout and stderr apart", gate, async () => {
  assertEquals(await shell("echo out; echo err >&2; exit 7"), {
    code: 7,
    stdout: "out\n",
    stderr: "err\n",
  });
});

Deno.test("Runner.run() gives 128+n for a command that signal n ended", gate, async () => {
  assertEquals((await shell("kill -TERM $$")).code, 143);
});

Deno.test("Runner.run() gives 127 for a program that does not exist", gate, async () => {
  await using agent = await LocalAgent.start();
  const capture = new Capture();
  const { code } = await agent.runner.run(["/no/such/program"], capture.options());
  assertEquals(code, 127);
  assert((await capture.text("stderr")).includes("/no/such/program"));
});

Deno.test("Runner.run() rejects when the working folder does not exist", gate, async () => {
  await assertRejects(() => shell("true", { cwd: "/no/such/folder" }), Error, "/no/such/folder");
});

Deno.test("Runner.run() passes words and variables on as they are", gate, async () => {
  await using agent = await LocalAgent.start();
  const capture = new Capture();
  const word = `a b'c"d\\e\n$HOME*`;
  await agent.runner.run(
    ["sh", "-c", 'printf "%s|%s|" "$1" "$X"; pwd', "sh", word],
    capture.options({ cwd: "/usr", env: { X: word } }),
  );
  assertEquals(await capture.text("stdout"), `${word}|${word}|/usr\n`);
});

Deno.test("Runner.run() carries 5 MB of stdin to stdout byte for byte", gate, async () => {
  await using agent = await LocalAgent.start();
  const capture = new Capture();
  const bytes = randomBytes(5_000_000);
  await agent.runner.run(["cat"], capture.options({ stdin: streamOf(bytes) }));
  assertEquals(await capture.bytes("stdout"), bytes);
});

Deno.test("Runner.run() without stdin gives /dev/null", gate, async () => {
  assertEquals((await shell("readlink /proc/self/fd/0")).stdout, "/dev/null\n");
});

Deno.test("Runner.run() ends although its stdin never does", gate, async () => {
  const endless = new ReadableStream<Uint8Array>();
  assertEquals((await shell("exit 3", { stdin: endless })).code, 3);
});

Deno.test("Runner.run() holds the command up while its output is not taken", gate, async () => {
  await using agent = await LocalAgent.start();
  const taken = Promise.withResolvers<void>();
  let bytes = 0;
  const capture = new Capture();
  const run = agent.runner.run(
    ["sh", "-c", "head -c 3000000 /dev/zero; echo done >&2"],
    capture.options({
      stdout: (chunk) => {
        bytes += chunk.length;
        return taken.promise;
      },
    }),
  );
  // Another run goes on meanwhile, and its round trips are time enough for megabytes.
  for (let i = 0; i < 5; i++) await agent.runner.run(["true"], new Capture().options());
  const before = [bytes < 1_000_000, await capture.text("stderr")];
  taken.resolve();
  await run;
  assertEquals([...before, bytes, await capture.text("stderr")], [true, "", 3_000_000, "done\n"]);
});

Deno.test("a sink that throws is a broken pipe to the command", gate, async () => {
  const { code, stderr } = await shell("trap '' PIPE; yes || echo refused >&2; exit 5", {
    stdout: () => {
      throw new Error("reader gone");
    },
  });
  assertEquals([code, stderr.includes("refused")], [5, true]);
});

Deno.test("RunningCommand.kill() reaches the whole process group", gate, async () => {
  await using agent = await LocalAgent.start();
  const started = Promise.withResolvers<void>();
  const capture = new Capture();
  const running = agent.runner.start(
    ["sh", "-c", "sleep 1000 & echo up; wait"],
    capture.options({ stdout: () => started.resolve() }),
  );
  await started.promise;
  running.kill("SIGTERM");
  assertEquals((await running.ended).code, 143);
});

Deno.test(
  "RunningCommand.exited tells of the command's end although nobody takes its output",
  gate,
  async () => {
    await using agent = await LocalAgent.start();
    const taken = Promise.withResolvers<void>();
    const running = agent.runner.start(
      ["sh", "-c", "yes & sleep 0.3; exit 9"],
      new Capture().options({ stdout: () => taken.promise }),
    );
    let isAllTaken = false;
    const ended = running.ended.then((report) => {
      isAllTaken = true;
      return report;
    });
    assertEquals((await running.exited).code, 9);
    assertEquals(isAllTaken, false);
    taken.resolve();
    assertEquals((await ended).code, 9);
  },
);

Deno.test("what a command leaves behind in its process group is killed", gate, async () => {
  const { stdout } = await shell("sleep 1000 & echo $!");
  const state = await Deno.readTextFile(`/proc/${stdout.trim()}/stat`).catch(() => "gone");
  assert(state === "gone" || /\) [ZX] /.test(state), state);
});

Deno.test("Runner.run() kills the command and rejects after its timeout", gate, async () => {
  await assertRejects(() => shell("sleep 1000", { timeout: 100 }), Error, "no end after 100 ms");
});

Deno.test("Runner.run() kills the command and rejects when aborted", gate, async () => {
  const controller = new AbortController();
  const run = shell("yes", {
    signal: controller.signal,
    stdout: () => controller.abort(new Error("enough")),
  });
  await assertRejects(() => run, Error, "enough");
});

Deno.test("Runner.run() rejects at once when aborted before", gate, async () => {
  const signal = AbortSignal.abort(new Error("no more"));
  await assertRejects(() => shell("sleep 1000", { signal }), Error, "no more");
});

Deno.test(
  "Runner.run() on a terminal gives its size, later sizes and both outputs",
  gate,
  async () => {
    await using agent = await LocalAgent.start();
    const input = new TransformStream<Uint8Array, Uint8Array>();
    const writer = input.writable.getWriter();
    let output = "";
    const script = "stty size; tty | cut -c1-9; echo err >&2; read line; " +
      'until [ "$(stty size)" = "40 120" ]; do sleep 0.05; done; echo resized; exit 4';
    const running = agent.runner.start(
      ["sh", "-c", script],
      new Capture().options({
        tty: { columns: 97, rows: 31 },
        stdin: input.readable,
        timeout: 30_000,
        stdout: async (chunk) => {
          const asked = output.includes("err");
          output += new TextDecoder().decode(chunk);
          if (asked || !output.includes("err")) return;
          running.resize({ columns: 120, rows: 40 });
          await writer.write(new TextEncoder().encode("go\n"));
        },
      }),
    );
    const { code } = await running.ended;
    assertEquals(
      [code, output.replaceAll("\r", "").split("\n")],
      [4, ["31 97", "/dev/pts/", "err", "go", "resized", ""]],
    );
  },
);

Deno.test(
  "all runs reject when the byte stream breaks, and so does a later one",
  gate,
  async () => {
    await using agent = await LocalAgent.start();
    const running = agent.runner.start(["sleep", "1000"], new Capture().options());
    agent.cut();
    await assertRejects(() => running.ended, Error, "the agent is gone");
    await assertRejects(
      () => agent.runner.run(["true"], new Capture().options()),
      Error,
      "the agent is gone",
    );
  },
);

Deno.test("Heartbeat.beat() is answered, and leaves a right clock alone", gate, async () => {
  await using agent = await LocalAgent.start();
  await agent.runner.heartbeat.beat();
  assertEquals(agent.runner.heartbeat.unanswered, 0);
});

Deno.test(
  "Runner.relay() runs another process's commands and kills them when it leaves",
  gate,
  async () => {
    await using agent = await LocalAgent.start();
    const folder = await Deno.makeTempDir({ prefix: "vireo-relay-" });
    using listener = Deno.listen({ transport: "unix", path: `${folder}/sock` });
    const connecting = Deno.connect({ transport: "unix", path: `${folder}/sock` });
    const accepted = await listener.accept();
    const relayed = agent.runner.relay(accepted);
    const connection = await connecting;
    const client = new Runner(connection, () => new Error("left"));
    await client.ready;

    const capture = new Capture();
    const bytes = randomBytes(1_000_000);
    const { code } = await client.run(
      ["sh", "-c", "cat; exit 6"],
      capture.options({ stdin: streamOf(bytes) }),
    );
    const started = Promise.withResolvers<string>();
    client.start(
      ["sh", "-c", "echo $$; sleep 1000"],
      capture.options({ stdout: (chunk) => started.resolve(new TextDecoder().decode(chunk)) }),
    ).ended.catch(() => {});
    const pid = (await started.promise).trim();
    connection.close();
    await Promise.all([client.closed, relayed]);
    accepted.close();
    await Deno.remove(folder, { recursive: true });
    await agent.runner.run(["sleep", "0.3"], new Capture().options());
    const alive = await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
    assertEquals([code, await capture.bytes("stdout"), alive], [6, bytes, false]);
  },
);

Deno.test(
  "Runner.run() ends although a process outside of the group holds its output",
  gate,
  async () => {
    const started = performance.now();
    const { code, stdout } = await shell("setsid sleep 20 & echo $!; sleep 0.3; exit 2");
    Deno.kill(Number(stdout), "SIGKILL");
    assertEquals([code, performance.now() - started < 10_000], [2, true]);
  },
);
