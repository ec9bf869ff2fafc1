/** How `boot` ends, and the exit code of each end. */

import { assertEquals, assertMatch } from "@std/assert";
import { linuxRequirement, textOf } from "../support/linux_guest.ts";
import { BOOT, boot, RunningBoot } from "./boot_command.ts";

const NEEDS = linuxRequirement();
/** What ends the shell's prompt. */
const PROMPT = /:~# /;

/** A shell's command and how boot ends then. */
interface Ending {
  readonly what: string;
  /** Options of boot. */
  readonly options?: readonly string[];
  /** What is typed at the shell's prompt; absent for a guest that never gets there. */
  readonly command?: string;
  readonly code: number;
  /** What stderr has to say. */
  readonly says: RegExp;
}

const ENDINGS: readonly Ending[] = [
  { what: "0 when the shell ends", command: "exit 7", code: 0, says: /^$/ },
  {
    what: "4 when the kernel panics (row 2.37)",
    command: "echo c > /proc/sysrq-trigger",
    code: 4,
    says: /sysrq triggered crash[^]*panicked/,
  },
  {
    what: "4 when the CPU shuts down after a triple fault",
    options: ["--cmdline", "reboot=triple"],
    command: "reboot -f",
    code: 4,
    says: /triple fault/,
  },
  {
    what: "4 when the guest resets before its init has reported in",
    options: ["--cmdline", "rdinit=/none"],
    code: 4,
    says: /Kernel panic[^]*before its init had reported in/,
  },
  {
    what: "6 when the guest reboots",
    options: ["--on-reboot", "exit"],
    command: "reboot -f",
    code: 6,
    says: /rebooted/,
  },
];

for (const { what, options = [], command, code, says } of ENDINGS) {
  Deno.test(`boot exits with ${what}`, NEEDS, async () => {
    await using running = new RunningBoot(options);
    if (command !== undefined) {
      await running.sees(PROMPT);
      await running.type(`${command}\n`);
    }
    const end = await running.end();
    assertMatch(textOf(end.stderr), says);
    assertEquals(end.code, code);
  });
}

Deno.test("boot takes Ctrl-A for itself on a terminal alone", NEEDS, async () => {
  await using running = new RunningBoot([]);
  await running.sees(PROMPT);
  await running.type("stty -echo -icanon; head -c 2 | xxd -p\n");
  await running.type("\x01x");
  await running.sees("0178");
  await running.type("exit\n");
  assertEquals((await running.end()).code, 0);
});

Deno.test("boot exits with 5 at its --timeout, and shows why", NEEDS, async () => {
  await using running = new RunningBoot(["--timeout", "2s"]);
  const { code, stderr } = await running.end();
  assertEquals(code, 5);
  assertMatch(textOf(stderr), /--timeout of 2 s/);
});

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  Deno.test(`boot exits with 128 + ${SIGNALS[signal]} on ${signal}`, NEEDS, async () => {
    await using running = new RunningBoot([]);
    await running.sees(PROMPT);
    running.kill(signal);
    const { code, stderr } = await running.end();
    assertEquals(code, 128 + SIGNALS[signal]);
    assertMatch(textOf(stderr), new RegExp(signal));
  });
}

Deno.test("boot --exec exits with 128 + 15 on SIGTERM, not with 125", NEEDS, async () => {
  await using running = new RunningBoot(["--exec", "echo up; cat"]);
  await running.sees("up\n");
  running.kill("SIGTERM");
  assertEquals((await running.end()).code, 128 + 15);
});

const NOT_THE_COMMANDS_END = [
  ["the guest powers off", "poweroff -f", /powered off before the command's end/],
  ["the guest reboots", "reboot -f", /rebooted before the command's end/],
  ["the guest's kernel panics", "echo c > /proc/sysrq-trigger", /panicked/],
] as const;
for (const [what, command, says] of NOT_THE_COMMANDS_END) {
  Deno.test(`boot --exec exits with 125 when ${what}`, NEEDS, async () => {
    const { code, stdout, stderr } = await boot(["--exec", `echo before; ${command}; sleep 60`]);
    assertEquals([code, textOf(stdout)], [125, "before\n"]);
    assertMatch(textOf(stderr), says);
  });
}

const MISUSES = [
  [["--no-such-option"], 2, /--no-such-option/],
  [["--no-such-option", "--exec", "true"], 125, /--no-such-option/],
  [["--kernel", "/no/such/kernel"], 2, /\/no\/such\/kernel/],
  [["--disk", "/no/such/disk"], 2, /\/no\/such\/disk/],
] as const;
for (const [options, wanted, says] of MISUSES) {
  Deno.test(`boot ${options.join(" ")} exits with ${wanted}`, NEEDS, async () => {
    const { code, stderr } = await boot(options);
    assertMatch(textOf(stderr), says);
    assertEquals(code, wanted);
  });
}

/** Runs boot where /dev/kvm is something else. */
async function bootWithoutKvm(prepare: string): Promise<[code: number, stderr: string]> {
  const script = `${prepare} && exec "$@"`;
  const command = ["unshare", "-m", "sh", "-ec", script, "sh", ...BOOT] as const;
  await using running = new RunningBoot([], { command, stdin: "null" });
  const { code, stderr } = await running.end();
  return [code, textOf(stderr)];
}

const UNFIT = [
  ["is a file without KVM behind it", "mount --bind /dev/null /dev/kvm"],
  ["is missing", "mount -t tmpfs dev /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9"],
] as const;
for (const [what, prepare] of UNFIT) {
  Deno.test(
    `boot exits with 3 where /dev/kvm ${what}`,
    linuxRequirement("namespaces"),
    async () => {
      const [code, stderr] = await bootWithoutKvm(prepare);
      assertEquals(code, 3, stderr);
      assertMatch(stderr, /KVM/);
    },
  );
}

Deno.test(
  "boot exits with 2 where descriptors are too few, and says how many it needs",
  NEEDS,
  async () => {
    const command = ["sh", "-ec", 'ulimit -n 48; exec "$@"', "sh", ...BOOT] as const;
    await using running = new RunningBoot([], { command, stdin: "null" });
    const { code, stderr } = await running.end();
    assertMatch(textOf(stderr), /with 48 descriptors: it needs \d+; .*ulimit -n \d+/);
    assertEquals(code, 2);
  },
);

Deno.test(
  "boot exits with 1 where there is no memory for the guest, and says what to do",
  NEEDS,
  async () => {
    // Deno itself takes some 20 GB of address space.
    const command = ["sh", "-ec", 'ulimit -v 60000000; exec "$@"', "sh", ...BOOT] as const;
    await using running = new RunningBoot(["--memory", "64G"], { command, stdin: "null" });
    const { code, stderr } = await running.end();
    const says =
      /Cannot allocate \d+ bytes of guest memory: .*mmap: ENOMEM .*; .*`ulimit -v`.*--memory/;
    assertMatch(textOf(stderr), says);
    assertEquals(code, 1);
  },
);
