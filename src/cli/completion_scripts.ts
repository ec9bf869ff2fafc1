/**
 * Completion scripts of the shells.
 *
 * @module
 */

/** What can stand behind an option, or behind a command's name. */
export interface Values {
  /** Words, complete but for those that end in `:` or `=`. */
  readonly words: readonly string[];
  /** Whether names of files fit. */
  readonly files: boolean;
}

/** An option as a shell completes it. */
export interface CompletedOption {
  readonly flag: string;
  /** A sentence. */
  readonly help: string;
  /** What its value is called, and what fits; absent for a switch. */
  readonly value?: Values & { readonly name: string };
}

/** A command as a shell completes it. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly operands: Values;
  readonly options: readonly CompletedOption[];
}

/** A script that makes one shell complete the commands. */
type Script = (commands: readonly CompletedCommand[]) => string;

/** The shells. */
export const SHELLS = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
} as const satisfies Record<string, Script>;

/** A shell that has a script. */
export type ShellName = keyof typeof SHELLS;

/**
 * Bash splits words at `=` and `:`, too: the option of `--rig=au` is two words before the one under the cursor, and behind a
 * colon (`--console file:a`) there is a path.
 */
function bashScript(commands: readonly CompletedCommand[]): string {
  return `# Completion of vireo for bash: source <(vireo completion bash)
_vireo() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} words= files=
  COMPREPLY=()
  [[ $before == : || $current == : ]] && files=1
  [[ $before == = ]] && before=\${COMP_WORDS[COMP_CWORD - 2]}
  [[ $current == [=:] ]] && current=
  if [[ $COMP_CWORD == 1 ]]; then
    words=${word([...commands.map(({ name }) => name), "--help", "--version"])}
  elif [[ ! $files ]]; then
    case \${COMP_WORDS[1]} in
${commands.map(bashCommand).join("")}    esac
  fi
  [[ $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ $files ]]; then
    compopt -o filenames
    mapfile -t -O \${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current")
  fi
  [[ \${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace
  return 0
}
complete -F _vireo vireo
`;
}

function bashCommand({ name, operands, options }: CompletedCommand): string {
  const valued = options.filter(({ value }) => value !== undefined);
  const flags = { words: options.map(({ flag }) => flag), files: false };
  return `      ${name})
        case $before in
${
    valued.map(({ flag, value }) => `          ${flag}) ${bashValues(value ?? flags)} ;;\n`).join(
      "",
    )
  }\
          *)
            if [[ $current == -* ]]; then ${bashValues(flags)}
            else ${bashValues(operands)}
            fi ;;
        esac ;;
`;
}

function bashValues({ words, files }: Values): string {
  const parts = [...words.length > 0 ? [`words=${word(words)}`] : [], ...files ? ["files=1"] : []];
  return parts.length > 0 ? parts.join(" ") : ":";
}

/** Words in one that the shell leaves alone. */
function word(words: readonly string[]): string {
  return `'${words.join(" ").replaceAll("'", "'\\\\''")}'`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name, summary }) => `    ${zshWord(`${name}:${summary}`)}\n`);
  return `#compdef vireo
# Completion of vireo for zsh: its output in a folder of $fpath, as _vireo
_vireo() {
  local -a commands=(
${names.join("")}  )
  if ((CURRENT == 2)); then
    _describe command commands
    _arguments '--help[Shows the commands]' '--version[Says which Vireo this is]'
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT -= 1))
  case $command in
${commands.map(zshCommand).join("")}  esac
}
if [[ $funcstack[1] == _vireo ]]; then _vireo "$@"; else compdef _vireo vireo; fi
`;
}

function zshCommand({ name, operands, options }: CompletedCommand): string {
  const specs = options.map(zshOption);
  if (operands.files || operands.words.length > 0) specs.push(`'*:operand:${zshAction(operands)}'`);
  return `    ${name})\n      _arguments \\\n${
    specs.map((spec) => `        ${spec}`).join(" \\\n")
  } ;;\n`;
}

function zshOption({ flag, help, value }: CompletedOption): string {
  const text = help.replace(/[\[\]:]/g, "\\$&");
  if (value === undefined) return zshWord(`${flag}[${text}]`);
  const name = value.name.replaceAll(":", "\\:");
  return zshWord(`*${flag}=[${text}]:${name}:${zshAction(value)}`);
}

function zshAction({ words, files }: Values): string {
  const endings = words.some((word) => /[:=]$/.test(word)) ? "-S '' " : "";
  const list = words.map((word) => word.replace(/[\[\]]/g, "\\$&")).join(" ");
  if (words.length > 0) return `{compadd ${endings}-- ${list}}`;
  return files ? "_files" : " ";
}

function zshWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const none = `not __fish_seen_subcommand_from ${names}`;
  return `# Completion of vireo for fish: its output in ~/.config/fish/completions/vireo.fish
complete -c vireo -f
complete -c vireo -n '${none}' -l help -d 'Shows the commands'
complete -c vireo -n '${none}' -l version -d 'Says which Vireo this is'
${commands.map((command) => fishCommand(command, none)).join("")}`;
}

function fishCommand({ name, summary, operands, options }: CompletedCommand, none: string): string {
  const here = `complete -c vireo -n '__fish_seen_subcommand_from ${name}'`;
  const lines = [`complete -c vireo -n '${none}' -a ${name} -d ${fishWord(summary)}`];
  if (operands.files) lines.push(`${here} -F`);
  if (operands.words.length > 0) lines.push(`${here} -a ${fishWord(operands.words.join(" "))}`);
  for (const { flag, help, value } of options) {
    const option = `${here} -l ${flag.slice(2)} -d ${fishWord(help)}`;
    lines.push(value === undefined ? option : `${option} ${fishValues(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

function fishValues({ words, files }: Values): string {
  const list = words.length > 0 ? ` -a ${fishWord(words.join(" "))}` : "";
  return `${files ? "-r -F" : "-x"}${list}`;
}

function fishWord(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
