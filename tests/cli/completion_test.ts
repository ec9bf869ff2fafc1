/** `vireo completion` in the shells themselves, on a terminal. */

import { assertEquals } from "@std/assert";
import { valuesOf } from "../../src/cli/completion.ts";
import { SOURCE } from "../support/program.ts";
import { requirement } from "../support/require.ts";
import { TmuxShell } from "../support/tmux.ts";

/** What is typed before Tab, and the line with an X typed behind. */
const CASES = [
  ["vireo ru", "vireo run X"],
  ["vireo --ver", "vireo --version X"],
  ["vireo run --mem", "vireo run --memory"],
  ["vireo boot --rig n", "vireo boot --rig never X"],
  ["vireo boot --rig=al", "vireo boot --rig=always X"],
  ["vireo run --kernel kern", "vireo run --kernel kernel.img X"],
  ["vireo run --set memory.si", "vireo run --set memory.size=X"],
  ["vireo check mach", "vireo check machine.toml X"],
  ["vireo completion f", "vireo completion fish X"],
  ["vireo doctor --js", "vireo doctor --json X"],
] as const;

/** Starts each shell without the user's own settings, with `$` alone for a prompt. */
const SHELLS = {
  bash: {
    start: "bash --norc --noprofile",
    prepare: "PS1='$ '; source <(vireo completion bash)",
  },
  zsh: {
    start: "zsh -f",
    prepare: "PS1='$ '; autoload -U compinit; compinit -u -D; source <(vireo completion zsh)",
  },
  fish: {
    start: "fish --no-config",
    prepare: "function fish_prompt; echo '$ '; end; vireo completion fish | source",
  },
} as const;

for (const [name, { start, prepare }] of Object.entries(SHELLS)) {
  Deno.test(
    `vireo completion ${name} completes commands, options, values and files`,
    requirement("tmux", name as keyof typeof SHELLS),
    async () => {
      const folder = await fixtures();
      try {
        await using shell = await TmuxShell.start(
          folder,
          `env HISTFILE=/dev/null PATH="${folder}/bin:$PATH" HOME=${folder} ${start}`,
        );
        await shell.enter(`${prepare}; clear; echo re''ady`);
        await shell.shows("ready");
        for (const [typed, completed] of CASES) {
          await shell.press("C-u");
          await shell.press("C-l");
          await shell.type(typed);
          await shell.press("Tab");
          await shell.type("X");
          await shell.shows(`$ ${completed}`);
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}

/** A folder with files to complete, and the program as `bin/vireo`. */
async function fixtures(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "vireo-completion-" });
  await Deno.mkdir(`${folder}/bin`);
  const words = SOURCE.command.map((word) => `'${word}'`).join(" ");
  // Deno's cache of packages lies in the real home.
  const home = `HOME='${Deno.env.get("HOME") ?? "/"}'`;
  await Deno.writeTextFile(`${folder}/bin/vireo`, `#!/bin/sh\n${home} exec ${words} "$@"\n`, {
    mode: 0o755,
  });
  for (const name of ["kernel.img", "machine.toml"]) {
    await Deno.writeTextFile(`${folder}/${name}`, "");
  }
  return folder;
}

Deno.test("valuesOf() reads from the help's word what fits", () => {
  assertEquals(valuesOf("auto|never"), { words: ["auto", "never"], files: false });
  assertEquals(valuesOf("PATH[,readonly]"), { words: [], files: true });
  assertEquals(valuesOf("stdio|file:PATH"), { words: ["stdio", "file:"], files: false });
  assertEquals(valuesOf("N"), { words: [], files: false });
  assertEquals(valuesOf("KEY=VALUE").words.includes("disk[0].serial="), true);
});
