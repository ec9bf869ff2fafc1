/**
 * The command `vireo completion`: what makes a shell complete commands, options and their values, made from the rows that parse them.
 *
 * @module
 */

import { ConfigError, errorText } from "../base/errors.ts";
import { describeOptions, HELP, type OptionTable, parseOptions } from "../config/options.ts";
import { KEYS } from "../config/schema.ts";
import type { Commands, LoadedCommand } from "./command.ts";
import {
  type CompletedCommand,
  type CompletedOption,
  type ShellName,
  SHELLS,
  type Values,
} from "./completion_scripts.ts";
import { statusOfError } from "./exit_status.ts";
import { print, printHelp, say } from "./say.ts";

/** What it can be told. */
export interface CompletionOptions {
  readonly help: boolean;
}

/** Its options. */
export const COMPLETION_OPTIONS: OptionTable<CompletionOptions> = {
  help: HELP,
};

/**
 * Runs the command.
 *
 * @param args what stands behind `completion`
 * @param commands all of the program's
 * @returns the exit status
 */
export async function completion(args: readonly string[], commands: Commands): Promise<number> {
  try {
    const [shell = "", ...rest] = args.filter((arg) => !arg.startsWith("-"));
    const options = args.filter((arg) => arg.startsWith("-"));
    if (parseOptions(COMPLETION_OPTIONS, options).help) return printHelp(completionHelp());
    if (rest.length > 0 || !isShell(shell)) {
      const given = [shell, ...rest].join(" ");
      throw new ConfigError("completion", `"${given}" is no shell; name bash, zsh or fish`);
    }
    return print(SHELLS[shell](await completedCommands(commands)));
  } catch (error) {
    say(`vireo: ${errorText(error)}`);
    return statusOfError(error);
  }
}

function isShell(name: string): name is ShellName {
  return Object.hasOwn(SHELLS, name);
}

/** What shells are told of all commands. */
export async function completedCommands(commands: Commands): Promise<CompletedCommand[]> {
  const found: CompletedCommand[] = [];
  for (const [name, { summary, operand = [], load }] of Object.entries(commands)) {
    const operands = operand === "file"
      ? { words: [], files: true }
      : { words: operand, files: false };
    found.push({ name, summary, operands, options: optionsOf(await load()) });
  }
  return found;
}

function optionsOf({ options }: LoadedCommand): CompletedOption[] {
  return Object.values(options).map(({ flag, value, help }) => ({
    flag,
    help: help.split(/\.( |$)/)[0] ?? help,
    ...(value === undefined ? {} : { value: { name: value, ...valuesOf(value) } }),
  }));
}

/** The help's word for a value says what fits: `auto|never`, `PATH[,readonly]`, `stdio|file:PATH`, `KEY=VALUE`. */
export function valuesOf(value: string): Values {
  if (value.startsWith("KEY=")) return { words: KEYS.map(keyWord), files: false };
  const parts = value.split("|");
  const words = parts.filter((part) => /^[a-z]/.test(part)).map((part) =>
    part.replace(/PATH$/, "")
  );
  return { words, files: parts.some((part) => part.startsWith("PATH")) };
}

function keyWord({ path }: { readonly path: string }): string {
  return `${path.replace("[]", "[0]")}=`;
}

/** The help of `vireo completion`. */
export function completionHelp(): string {
  return `Prints what makes a shell complete Vireo's commands, options and values.

Usage: vireo completion bash|zsh|fish

${describeOptions(COMPLETION_OPTIONS)}
bash: source <(vireo completion bash), or its output in ~/.local/share/bash-completion/completions/vireo
zsh:  its output in a folder of $fpath, as _vireo; then compinit
fish: its output in ~/.config/fish/completions/vireo.fish

Exit status: 0, or 2 where it is no such shell.
`;
}
