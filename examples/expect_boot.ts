// deno-lint-ignore-file no-console -- it prints, as programs do

/**
 * Boots Linux, waits for its prompt, types, and looks at the answer: `VM=vm.toml deno test -A examples/expect_boot.ts`. The machine's
 * console is on stdio, and its shell's prompt ends in `# `.
 */

import { launch } from "../src/mod.ts";

/** Reads until a text comes; gives what came before it, and fails where it does not come at all. */
async function expect(output: ReadableStreamDefaultReader<string>, text: string): Promise<string> {
  for (let seen = "";;) {
    const { done, value } = await output.read();
    if (done) throw new Error(`The guest ended before it said ${JSON.stringify(text)}:\n${seen}`);
    seen += value;
    if (seen.includes(text)) return seen.slice(0, seen.indexOf(text));
  }
}

Deno.test("Linux boots to a shell and counts its processors", async () => {
  const file = Deno.env.get("VM") ?? new URL("vm.toml", import.meta.url);
  await using machine = await launch(file, { options: ["--timeout", "200s"] });
  const output = machine.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const input = machine.stdin.getWriter();
  const type = (line: string) => input.write(new TextEncoder().encode(`${line}\n`));

  await expect(output, "# ");
  await type("echo $(nproc) processors");
  const answer = await expect(output, "2 processors");
  console.log(answer);
  await type("exit");
  const { code } = await machine.ended;
  if (code !== 0) throw new Error(`The machine ended with status ${code}`);
  await output.cancel();
  await input.close().catch(() => {});
});
