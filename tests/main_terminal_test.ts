/** The program on a real terminal: killed at random moments, and its completion in shells. */

import { assert, assertEquals } from "@std/assert";
import { END_SIGNALS, type EndSignal } from "../src/host/signals.ts";
import { writeGuests } from "./support/guest_kernel.ts";
import { pause } from "./support/pause.ts";
import { compiledProgram, SOURCE } from "./support/program.ts";
import { Random } from "./support/random.ts";
import { requirement } from "./support/require.ts";
import { eventually, TmuxShell } from "./support/tmux.ts";

const FIXTURES = await Deno.makeTempDir({ prefix: "vireo-terminal-" });
addEventListener("unload", () => Deno.removeSync(FIXTURES, { recursive: true }));
writeGuests(FIXTURES);

const EXECUTABLE = await compiledProgram();
/** The executable where there is one: it starts faster, and so is hit later in its life. */
const { command: COMMAND } = EXECUTABLE.missing === undefined ? EXECUTABLE : SOURCE;
const VIREO = COMMAND.map((word) => `'${word}'`).join(" ");

const SMALL = "--memory 32M --set log.level=error";

/** What is killed: machines with the terminal on their console and on their serial port, and all else that prints. */
const LINES = [
  `run --kernel spin.img ${SMALL}`,
  `run --kernel spin.img ${SMALL} --cpus 2 --set serial.backend=pty`,
  `run --kernel spin.img ${SMALL} --console none --set serial.backend=stdio`,
  `run --kernel reset.img ${SMALL} --set machine.on_reboot=restart`,
  "check --kernel off.img",
  "doctor",
  "boot --rig=never --timeout 20s",
  "--help",
] as const;

/** One call with its process, its status and the terminal's modes after it in files. A shell stops at a child that SIGINT ended. */
const CASE = `trap : INT
sh -c 'echo $$ >pid; exec "$@"' sh ${VIREO} "$@"
echo $? >status
stty -g >after
`;

const KILLS = 100;
const SEED = 20260;

Deno.test(
  `${KILLS} kills at random moments leave the terminal as it was (row 3.10)`,
  requirement("kvm", "tmux"),
  async () => {
    await using shell = await TmuxShell.start(FIXTURES);
    await Deno.writeTextFile(`${FIXTURES}/case.sh`, CASE);
    await shell.enter("stty -g >before");
    const before = await fileAt(`${FIXTURES}/before`);
    const random = new Random(SEED);
    const signals = Object.entries(END_SIGNALS) as [EndSignal, number][];
    for (let kill = 0; kill < KILLS; kill++) {
      const line = LINES[random.below(LINES.length)] ?? LINES[0];
      const [signal, number] = signals[random.below(signals.length)] ?? ["SIGTERM", 15];
      await shell.enter(`clear; sh case.sh ${line}`);
      const pid = Number(await fileAt(`${FIXTURES}/pid`));
      await pause(random.below(400));
      tryKill(pid, signal);
      const status = Number(await fileAt(`${FIXTURES}/status`));
      const after = await fileAt(`${FIXTURES}/after`);
      const what = `kill ${kill}, ${signal}, of ${line}`;
      assertEquals(after, before, what);
      assert([0, 3, 128 + number].includes(status), `${what}: status ${status}`);
      for (const name of ["pid", "status", "after"]) await Deno.remove(`${FIXTURES}/${name}`);
    }
    await shell.enter("clear; echo sane$((40 + 2))");
    await shell.shows("sane42");
    assertEquals(await shell.property("#{cursor_flag} #{alternate_on} #{insert_flag}"), "1 0 0");
  },
);

/** How each call shows help or findings, on a terminal that knows bold. */
const MARKINGS = [
  { line: `env -u NO_COLOR ${VIREO} --help`, marked: true },
  { line: `env NO_COLOR=1 ${VIREO} --help`, marked: false },
  { line: `env -u NO_COLOR TERM=dumb ${VIREO} --help`, marked: false },
  { line: `env -u NO_COLOR ${VIREO} --help | cat`, marked: false },
];

for (const { line, marked } of MARKINGS) {
  const call = line.replace(VIREO, "vireo");
  Deno.test(
    `${call} on a terminal is ${marked ? "marked" : "plain"}`,
    requirement("tmux"),
    async () => {
      await using shell = await TmuxShell.start(FIXTURES);
      await Deno.writeTextFile(`${FIXTURES}/line.sh`, `clear; ${line}; echo end$((40 + 2))\n`);
      await shell.enter("sh line.sh");
      await shell.shows("end42");
      assertEquals((await shell.attributes()).includes("\x1b[1mUsage"), marked);
    },
  );
}

/** A file's text once a line of it is there. */
async function fileAt(path: string): Promise<string> {
  return await eventually(async () => {
    const text = await Deno.readTextFile(path).catch(() => "");
    return text.endsWith("\n") ? text.trim() : undefined;
  }, () => `${path} is not written`);
}

function tryKill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
  }
}
