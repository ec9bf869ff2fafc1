import { assertEquals, assertThrows } from "@std/assert";
import { INIT_FILES, taskFiles } from "../../src/boot/guest_init.ts";
import { parseControlLine } from "../../src/boot/control_protocol.ts";
import { defaultCommandLine } from "../../src/boot/default_command_line.ts";
import { VireoError } from "../../src/base/errors.ts";

async function shell(args: readonly string[], input = ""): Promise<string> {
  const child = new Deno.Command("sh", { args: [...args], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

Deno.test("INIT_FILES' scripts are shell scripts without syntax errors", async () => {
  for (const { text } of INIT_FILES.filter(({ text }) => text.startsWith("#!"))) {
    assertEquals(await shell(["-c", "sh -n && echo good"], text), "good\n");
  }
});

Deno.test("taskFiles() quotes settings so that a shell reads them as they are", async () => {
  const odd = "xterm'$(echo no)\"\\ `id`\n*";
  const [settings] = taskFiles({ terminal: odd, hostname: "a b" });
  const read = await shell(["-c", `${settings?.text}\nprintf %s "$terminal|$hostname"`]);
  assertEquals(read, `${odd}|a b`);
});

Deno.test("taskFiles() keeps a command byte for byte, of any length", () => {
  const command = `cat <<'END'\n"'\\$\`\nEND\n# ${"é".repeat(100_000)}`;
  const file = taskFiles({ command }).find(({ path }) => path === "vireo/command");
  assertEquals(file?.text, `${command}\n`);
});

Deno.test("taskFiles() refuses a command that holds NUL", () => {
  assertThrows(() => taskFiles({ command: "echo \0" }), VireoError, "NUL byte");
});

Deno.test("taskFiles() makes no command file for the interactive shell", () => {
  assertEquals(taskFiles({}).map(({ path }) => path), ["vireo/settings"]);
});

Deno.test("parseControlLine() reads what init writes and takes nothing else for it", () => {
  assertEquals(parseControlLine("ready"), { kind: "ready" });
  assertEquals(parseControlLine("exit 0"), { kind: "exit", status: 0 });
  assertEquals(parseControlLine("exit 255"), { kind: "exit", status: 255 });
  for (
    const line of ["", "Ready", "exit", "exit 256", "exit -1", "exit 1 ", "exit 0x1", "ready\r"]
  ) {
    assertEquals(parseControlLine(line), { kind: "malformed", text: JSON.stringify(line) });
  }
  const long = parseControlLine("x".repeat(5000));
  assertEquals(long, { kind: "malformed", text: `"${"x".repeat(64)}"` });
});

Deno.test("defaultCommandLine() puts the user's parameters last", () => {
  const quiet = defaultCommandLine({ ownInit: true, verbose: false, more: "nokaslr loglevel=7" });
  assertEquals(quiet.startsWith("console=ttyS0 panic=-1 "), true);
  assertEquals(quiet.endsWith(" quiet nokaslr loglevel=7"), true);
});

Deno.test("defaultCommandLine() shows the kernel's messages where they are wanted", () => {
  const verbose = defaultCommandLine({ ownInit: true, verbose: true, more: "" });
  assertEquals(verbose.split(" ").includes("quiet"), false);
  assertEquals(verbose.endsWith(" "), false);
  const other = defaultCommandLine({ ownInit: false, verbose: false, more: "" }).split(" ");
  assertEquals(other.filter((word) => word.startsWith("console=")), [
    "console=ttyS0",
    "console=hvc0",
  ]);
});
