/**
 * The program: `vireo COMMAND [OPTION]...`.
 *
 * @module
 */

import { EXIT } from "./cli/exit_status.ts";
import { say } from "./cli/say.ts";

/** A command of the program. */
interface Command {
  /** A sentence for the help. */
  readonly summary: string;
  /** Loads what the command needs, and only that: it decides how fast the program starts. */
  readonly load: () => Promise<(args: readonly string[]) => Promise<number>>;
}

const COMMANDS: { readonly [name: string]: Command } = {
  boot: {
    summary: "Boots Linux, to a shell on this terminal or for one command.",
    load: async () => (await import("./cli/boot.ts")).boot,
  },
  run: {
    summary: "Runs a machine that a file or flags describe.",
    load: async () => (await import("./cli/run.ts")).run,
  },
  check: {
    summary: "Checks a machine's description and prints the machine; touches no KVM.",
    load: async () => (await import("./cli/check.ts")).check,
  },
  doctor: {
    summary: "Says whether this host can run machines, and what to do where it cannot.",
    load: async () => (await import("./cli/doctor.ts")).doctor,
  },
};

async function main([name, ...args]: readonly string[]): Promise<number> {
  const command = name === undefined || !Object.hasOwn(COMMANDS, name) ? undefined : COMMANDS[name];
  if (command !== undefined) return await (await command.load())(args);
  if (name === "--help" || name === "help") {
    Deno.stdout.writeSync(new TextEncoder().encode(usage()));
    return EXIT.ok;
  }
  if (name !== undefined) say(`vireo: There is no command "${name}"`);
  say(usage().trimEnd());
  return EXIT.usage;
}

function usage(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(({ length }) => length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) =>
    `  ${name.padEnd(width)}  ${summary}\n`
  );
  return `Usage: vireo COMMAND [OPTION]...; COMMAND --help says more.\n\n${lines.join("")}`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
