import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { VireoError } from "../../src/base/errors.ts";
import { Rig } from "../../src/rig/rig.ts";
import { say } from "../support/progress.ts";
import { libcRequirement } from "../support/libc.ts";
import { Capture, randomBytes, streamOf } from "./local_agent.ts";

const PROJECT = fromFileUrl(new URL("../../", import.meta.url)).replace(/\/$/, "");

const gate = libcRequirement("qemu", "xz");

/** What a script in the rig prints. */
async function printed(rig: Rig, script: string): Promise<string> {
  const capture = new Capture();
  await rig.run(["sh", "-c", script], capture.options({ cwd: PROJECT }));
  return (await capture.text("stdout")) + (await capture.text("stderr"));
}

Deno.test("Rig runs commands as if they ran here", gate, async (t) => {
  const started = performance.now();
  await using rig = await Rig.start({ project: PROJECT, progress: say });
  const startTime = performance.now() - started;

  await t.step(
    "it comes up with a KVM that has SVM, on one processor without cmpxchg16b",
    async () => {
      const facts =
        "[ -w /dev/kvm ] && grep -cw svm /proc/cpuinfo; grep -cw cx16 /proc/cpuinfo; true";
      assertEquals(await printed(rig, facts), "1\n0\n");
    },
  );

  await t.step("status, stdout and stderr are apart", async () => {
    const capture = new Capture();
    const { code } = await rig.run(
      ["sh", "-c", "echo out; echo err >&2; exit 7"],
      capture.options(),
    );
    assertEquals(
      [code, await capture.text("stdout"), await capture.text("stderr")],
      [7, "out\n", "err\n"],
    );
  });

  await t.step("5 MB of stdin come back byte for byte, and end", async () => {
    const capture = new Capture();
    const bytes = randomBytes(5_000_000);
    await rig.run(["cat"], capture.options({ stdin: streamOf(bytes) }));
    assertEquals(await capture.bytes("stdout"), bytes);
  });

  await t.step("a terminal has the size that was asked for", async () => {
    const capture = new Capture();
    await rig.run(["stty", "size"], capture.options({ tty: { columns: 97, rows: 31 } }));
    assertEquals(await capture.text("stdout"), "31 97\r\n");
  });

  await t.step("the project has its own path, and changes go both ways at once", async () => {
    const name = `.rig-test-${crypto.randomUUID()}`;
    await Deno.writeTextFile(`${PROJECT}/${name}`, "one");
    const seen = await printed(rig, `cat ${name}; echo two >${name}`);
    const written = await Deno.readTextFile(`${PROJECT}/${name}`);
    await Deno.writeTextFile(`${PROJECT}/${name}`, "three");
    const seenLater = await printed(rig, `cat ${name}; rm ${name}`);
    assertEquals([seen, written, seenLater], ["one", "two\n", "three"]);
  });

  await t.step("this Deno runs there and needs no network", async () => {
    const capture = new Capture();
    const script = 'import "@std/path"; console.log(Deno.version.deno)';
    const config = `${PROJECT}/deno.json`;
    const { code } = await rig.run(
      ["deno", "run", "--no-check", "--config", config, `data:text/javascript,${script}`],
      capture.options({ cwd: PROJECT }),
    );
    assertEquals([code, await capture.text("stdout")], [0, `${Deno.version.deno}\n`]);
  });

  await t.step("its clock is right within half a second", async () => {
    const before = Date.now();
    const there = Number(await printed(rig, "deno eval 'console.log(Date.now())'"));
    const after = Date.now();
    assert(there >= before - 500 && there <= after + 500, `${there} not in ${before}-${after}`);
  });

  await t.step("it has what tests of a VMM use", async () => {
    const script = "strace -V | head -1; cat /proc/sys/vm/overcommit_memory; " +
      "ls /dev/net/tun /dev/vhost-net /dev/vhost-vsock /sys/kernel/debug/kvm /dev/shm >/dev/null; " +
      "ip link show lo | grep -c LOOPBACK,UP; /bin/date --version | head -1";
    assertEquals(
      (await printed(rig, script)).replaceAll(/\d+\.[\d.]+\S*/g, "N").split("\n"),
      ["strace -- version N", "1", "1", "date (GNU coreutils) N", ""],
    );
  });

  await t.step("200 VMs come and go beside processes that switch all the time", async () => {
    const script = `
      import { Kvm } from "file://${PROJECT}/src/kvm/kvm.ts";
      const kvm = Kvm.open();
      for (let i = 0; i < 200; i++) kvm.createVm()[Symbol.dispose]();
      console.log("done");
    `;
    const url = `data:text/javascript,${encodeURIComponent(script)}`;
    const busy = "yes | cat >/dev/null & yes | cat >/dev/null &";
    const command = `${busy} deno run -A --no-check --config deno.json '${url}'`;
    const capture = new Capture();
    await rig.run(["sh", "-c", command], capture.options({ cwd: PROJECT, timeout: 90_000 }));
    assertEquals(await capture.text("stdout"), "done\n");
  });

  await t.step("killing QEMU rejects what runs, at once and with the console", async () => {
    const running = rig.start(["sh", "-c", "echo last words >/dev/ttyS0; sleep 1000"], {
      ...new Capture().options(),
    });
    await printed(rig, "until grep -q sleep /proc/*/cmdline; do :; done; sleep 0.2");
    const killed = performance.now();
    Deno.kill(rig.pid, "SIGKILL");
    const error = await assertRejects(() => running.ended, VireoError, "The rig ended");
    assertStringIncludes(error.message, "last words");
    assert(performance.now() - killed < 5_000);
  });

  say(`The rig came up in ${(startTime / 1000).toFixed(1)} s`);
});

Deno.test("Rig rejects with the kernel's last words when L1 panics", gate, async () => {
  await using rig = await Rig.start({ project: PROJECT, progress: say, memory: "1G" });
  const crash = "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger";
  await assertRejects(
    () => rig.run(["sh", "-c", crash], new Capture().options({ timeout: 60_000 })),
    VireoError,
    "Kernel panic - not syncing: sysrq triggered crash",
  );
});

Deno.test("Rig.start() rejects with the console when L1 cannot come up", gate, async () => {
  const started = performance.now();
  await assertRejects(
    () => Rig.start({ project: PROJECT, progress: say, agent: ["/no/such/agent"] }),
    VireoError,
    "init: agent ended with status 127",
  );
  assert(performance.now() - started < 60_000);
});

Deno.test("Rig.start() rejects with QEMU's words when QEMU does not start", gate, async () => {
  await assertRejects(
    () => Rig.start({ project: PROJECT, progress: say, memory: "much" }),
    VireoError,
    "QEMU says: ",
  );
});

Deno.test("QEMU does not outlive a killed process that started a rig", gate, async () => {
  const script = `
    import { Rig } from ${JSON.stringify(new URL("../../src/rig/rig.ts", import.meta.url).href)};
    const rig = await Rig.start({ project: ${JSON.stringify(PROJECT)}, progress: () => {} });
    console.log(rig.pid);
    await new Promise((resolve) => setTimeout(resolve, 100_000));
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "-"],
    cwd: PROJECT,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const pid = parseInt(new TextDecoder().decode(value));
  assert(await isRunning(pid), "QEMU runs");
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  for (let i = 0; i < 50 && await isRunning(pid); i++) await new Promise((r) => setTimeout(r, 100));
  assertEquals(await isRunning(pid), false);
});

async function isRunning(pid: number): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return stat !== "" && !/\) [ZX] /.test(stat);
}
