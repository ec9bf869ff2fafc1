/** `boot` on a terminal and on pipes. script(1) makes the terminal. */

import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { linuxRequirement } from "../support/linux_guest.ts";
import { pause } from "../support/pause.ts";
import { BOOT, RunningBoot } from "./boot_command.ts";

const NEEDS = linuxRequirement("script");
/** What ends the guest's prompt. */
const PROMPT = /:~# /;

/** A terminal with `boot` on it; when that has ended its exit code and the terminal's state are shown. */
class TerminalSession implements AsyncDisposable {
  readonly running: RunningBoot;

  constructor(options: readonly string[] = [], boot: readonly string[] = BOOT) {
    const command = [...boot, ...options].map((word) => `'${word}'`).join(" ");
    const show = 'echo "state=$(stty -g)."';
    const script = [
      // Ctrl-C is for boot: the shell beside it lives on to tell how that ended.
      "trap : INT",
      'stty rows 37 cols 101; echo "terminal=$(tty)."',
      show,
      `sh -c 'echo "pid=$$."; exec "$@"' sh ${command}`,
      'echo "code=$?."',
      show,
      'echo "modes=$(stty -a | tr "\\n" " ")."',
    ].join("; ");
    const program = ["script", "-qfec", script, "/dev/null"] as const;
    this.running = new RunningBoot([], { command: program });
  }

  /** Waits until the terminal shows `name=VALUE.` and gives the value. */
  async value(name: string): Promise<string> {
    const [, value = ""] = await this.running.sees(new RegExp(`${name}=([^.]*)\\.`));
    return value;
  }

  /** Types a line once the guest's shell asks for one. */
  async enter(line: string): Promise<void> {
    await this.running.sees(PROMPT);
    await this.running.type(`${line}\r`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]();
  }
}

Deno.test(
  "boot on a terminal: its size, keys and Ctrl-A, and the terminal as it was afterwards",
  NEEDS,
  async () => {
    await using session = new TerminalSession();
    const { running } = session;
    const terminal = await session.value("terminal");
    const before = await session.value("state");

    await session.enter("stty size");
    await running.sees("37 101");
    assertNotEquals(await stateOf(terminal), before);

    await stty("-F", terminal, "rows", "20", "cols", "90");
    await session.enter(
      'until [ "$(stty size)" = "20 90" ]; do sleep 0.1; done; echo $((6 * 7))-resized',
    );
    await running.sees("42-resized");

    // Newlines are the guest's own affair.
    await session.enter("stty -opost; printf 'left%s\\nright' $((6 * 7)); stty opost; echo");
    await running.sees("left42\nright");

    // A shell that controls its terminal: the guest's Ctrl-C ends a command, and nothing of ours.
    await session.enter("sh -c 'echo $((6 * 7))-asleep; exec sleep 1000'");
    await running.sees("42-asleep");
    await running.type("\x03");
    await session.enter("echo $((6 * 7))-alive");
    await running.sees("42-alive");

    await running.type("\x01h");
    await running.sees(/Ctrl-A x/);
    await running.type("\x01x");
    assertEquals(await session.value("code"), "0");
    assertEquals(await session.value("state"), before);
  },
);

/** Boot with a worker that throws instead of one of Vireo's own. */
function bootWithThrowing(worker: string): readonly string[] {
  const program = new URL("./throwing_boot.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "--no-check", program, worker];
}

/** How boot is brought to its end, and its exit code. */
interface TerminalEnd {
  readonly what: string;
  readonly options?: readonly string[];
  readonly boot?: readonly string[];
  readonly act?: (session: TerminalSession) => Promise<void>;
  /** What boot says of it. */
  readonly says?: RegExp;
  readonly code: string;
}

function atPrompt(signal: Deno.Signal): (session: TerminalSession) => Promise<void> {
  return async (session) => {
    const pid = Number(await session.value("pid"));
    await session.running.sees(PROMPT);
    Deno.kill(pid, signal);
  };
}

const ENDS: readonly TerminalEnd[] = [
  { what: "the shell's exit", act: (session) => session.enter("exit"), code: "0" },
  {
    what: "the guest's panic",
    act: (session) => session.enter("echo c > /proc/sysrq-trigger"),
    says: /The guest's kernel panicked/,
    code: "4",
  },
  {
    what: "a shutdown of the guest's CPU",
    options: ["--cmdline", "reboot=triple"],
    act: (session) => session.enter("reboot -f"),
    says: /The guest's CPU shut down after a triple fault/,
    code: "4",
  },
  {
    what: "the guest's halt",
    act: (session) => session.enter("halt -f"),
    says: /The guest halted with interrupts off/,
    code: "4",
  },
  { what: "SIGTERM", act: atPrompt("SIGTERM"), code: "143" },
  { what: "SIGINT", act: atPrompt("SIGINT"), code: "130" },
  { what: "SIGHUP", act: atPrompt("SIGHUP"), code: "129" },
  {
    what: "Ctrl-C",
    options: ["--exec", "echo $((6 * 7))-up; sleep 1000"],
    act: async ({ running }) => {
      await running.sees("42-up");
      await running.type("\x03");
    },
    code: "130",
  },
  { what: "--timeout", options: ["--timeout", "1s"], code: "5" },
  {
    what: "an uncaught error in a vCPU's worker",
    boot: bootWithThrowing("vcpu_worker"),
    says: /vCPU 0's worker failed: .*Thrown on purpose/,
    code: "1",
  },
  {
    what: "an uncaught error in the I/O worker",
    boot: bootWithThrowing("io_worker"),
    says: /An I\/O worker failed: .*Thrown on purpose/,
    code: "1",
  },
];

for (const { what, options, boot, act, says, code } of ENDS) {
  Deno.test(`boot leaves its terminal as it was after ${what} (row 3.10)`, NEEDS, async () => {
    await using session = new TerminalSession(options, boot);
    const before = await session.value("state");
    await act?.(session);
    if (says !== undefined) await session.running.sees(says);
    assertEquals(await session.value("code"), code);
    assertEquals(await session.value("state"), before);
    const modes = (await session.value("modes")).split(/[\s;]+/);
    assertEquals(modes.filter((mode) => /^-?(icanon|echo|isig|opost)$/.test(mode)).sort(), [
      "echo",
      "icanon",
      "isig",
      "opost",
    ]);
  });
}

Deno.test(
  "boot --on-reboot restart keeps the terminal for the next guest (row 1.9)",
  NEEDS,
  async () => {
    await using session = new TerminalSession(["--on-reboot=restart"]);
    const before = await session.value("state");
    // Echoed as it is typed: only the guest makes a number of it.
    const read = "count=$(head -c 1 /dev/vda | tr '\\0' 0); echo boot-$((count)).; " +
      "echo $((count + 1)) > /dev/vda; sync";
    await session.enter(read);
    await session.running.sees("boot-0.");
    await session.enter("reboot -f");
    await session.enter(read);
    await session.running.sees("boot-1.");
    await session.enter("stty size; exit");
    await session.running.sees("37 101");
    assertEquals(await session.value("code"), "0");
    assertEquals(await session.value("state"), before);
  },
);

Deno.test("boot ends when its terminal goes away", NEEDS, async () => {
  await using session = new TerminalSession();
  const pid = await session.value("pid");
  await session.running.sees(PROMPT);
  session.running.kill("SIGKILL");
  await session.running.end();
  assertEquals(await endsWithin(pid, 30_000), true);
});

Deno.test(
  "boot on pipes carries bytes to the guest's hvc0 and back (row 0.25)",
  linuxRequirement(),
  async () => {
    await using running = new RunningBoot([]);
    await running.sees(PROMPT);
    await running.type("stty raw -echo; echo $((6 * 7))-raw; head -c 259 | xxd -p -c 259; exit\n");
    await running.sees("42-raw");
    // All bytes but for the length: no terminal discipline is left on the way.
    const bytes = Uint8Array.from({ length: 259 }, (_, index) => (index * 3) % 256);
    await running.type(bytes);
    await running.sees(bytes.toHex());
    assertEquals((await running.end()).code, 0);
  },
);

Deno.test(
  "boot with stdin from /dev/null runs the shell until its end or ours",
  linuxRequirement(),
  async () => {
    await using running = new RunningBoot([], { stdin: "null" });
    await running.sees(PROMPT);
    running.kill("SIGTERM");
    const { code, stderr } = await running.end();
    assertMatch(new TextDecoder().decode(stderr), /SIGTERM/);
    assertEquals(code, 143);
  },
);

async function stty(...args: readonly string[]): Promise<string> {
  const { stdout, success } = await new Deno.Command("stty", { args: [...args] }).output();
  assertEquals(success, true);
  return new TextDecoder().decode(stdout).trim();
}

/** The terminal's modes, as one word. */
function stateOf(terminal: string): Promise<string> {
  return stty("-F", terminal, "-g");
}

async function endsWithin(pid: string, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (performance.now() < deadline) {
    if (!await Deno.lstat(`/proc/${pid}`).then(() => true, () => false)) return true;
    await pause(100);
  }
  return false;
}
