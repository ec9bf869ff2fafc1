/**
 * The program: `vireo COMMAND [OPTION]...`.
 *
 * @module
 */

import { errorText } from "./base/errors.ts";
import { nearest } from "./base/nearest.ts";
import type { Command, Commands } from "./cli/command.ts";
import { EXIT, statusOfError } from "./cli/exit_status.ts";
import { AGENT_COMMAND } from "./cli/rig_names.ts";
import { print, printHelp, say } from "./cli/say.ts";
import { versionText } from "./cli/version.ts";

const COMMANDS: Commands = {
  boot: {
    summary: "Boots Linux, to a shell on this terminal or for one command.",
    load: async () => {
      const { boot } = await import("./cli/boot.ts");
      const { BOOT_OPTIONS } = await import("./cli/boot_options.ts");
      return { run: boot, options: BOOT_OPTIONS };
    },
  },
  run: {
    summary: "Runs a machine that a file or flags describe.",
    operand: "file",
    load: async () => {
      const { run, RUN_OPTIONS } = await import("./cli/run.ts");
      return { run, options: RUN_OPTIONS };
    },
  },
  check: {
    summary: "Checks a machine's description and prints the machine; touches no KVM.",
    operand: "file",
    load: async () => {
      const { check, CHECK_OPTIONS } = await import("./cli/check.ts");
      return { run: check, options: CHECK_OPTIONS };
    },
  },
  kernel: {
    summary: "Unpacks a kernel, so that it need not do that at each boot.",
    operand: ["unpack"],
    load: async () => {
      const { kernel, KERNEL_OPTIONS } = await import("./cli/kernel.ts");
      return { run: kernel, options: KERNEL_OPTIONS };
    },
  },
  doctor: {
    summary: "Says whether this host can run machines, and what to do where it cannot.",
    load: async () => {
      const { doctor, DOCTOR_OPTIONS } = await import("./cli/doctor.ts");
      return { run: doctor, options: DOCTOR_OPTIONS };
    },
  },
  completion: {
    summary: "Prints what makes a shell complete all this: bash, zsh or fish.",
    operand: ["bash", "zsh", "fish"],
    load: async () => {
      const { completion, COMPLETION_OPTIONS } = await import("./cli/completion.ts");
      return { run: (args) => completion(args, COMMANDS), options: COMPLETION_OPTIONS };
    },
  },
};

/** Not for people: the rig's agent, where this program is all there is of Vireo in the rig. */
const AGENT: Command = {
  summary: "Serves a rig from inside.",
  load: async () => {
    const { runAgent } = await import("./rig/agent.ts");
    return { run: () => runAgent().then(() => EXIT.ok), options: {} };
  },
};

const ALL: Commands = { ...COMMANDS, [AGENT_COMMAND]: AGENT };

async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    say(`vireo: ${errorText(error)}`);
    return statusOfError(error);
  }
}

async function dispatch([name, ...args]: readonly string[]): Promise<number> {
  const command = name !== undefined && Object.hasOwn(ALL, name) ? ALL[name] : undefined;
  if (command !== undefined) return await (await command.load()).run(args);
  if (name === "--help" || name === "help") return printHelp(usage());
  if (name === "--version") return print(versionText());
  if (name !== undefined) say(`vireo: ${unknown(name)}`);
  say(usage().trimEnd());
  return EXIT.usage;
}

function unknown(name: string): string {
  const near = nearest(name, Object.keys(COMMANDS));
  return `There is no command "${name}"${near === undefined ? "" : `; did you mean "${near}"?`}`;
}

function usage(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(({ length }) => length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) =>
    `  ${name.padEnd(width)}  ${summary}\n`
  );
  return "Usage: vireo COMMAND [OPTION]...; COMMAND --help says more, --version which Vireo this is." +
    `\n\n${lines.join("")}`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
