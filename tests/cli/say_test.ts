import { assertEquals } from "@std/assert";
import { ProgressLine } from "../../src/cli/say.ts";
import { libcRequirement } from "../support/libc.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

Deno.test("ProgressLine says each step once where there is no terminal", () => {
  const written: string[] = [];
  const line = new ProgressLine(false, (text) => written.push(text));
  for (const text of ["Fetching a: 1 of 2 MB", "Fetching a: 2 of 2 MB", "Unpacking a"]) {
    line.show(text);
  }
  line[Symbol.dispose]();
  assertEquals(written, ["Fetching a: 1 of 2 MB\n", "Unpacking a\n"]);
});

Deno.test("ProgressLine rewrites its line on a terminal and takes it away in the end", () => {
  const written: string[] = [];
  const line = new ProgressLine(true, (text) => written.push(text));
  line.show("Fetching a: 1 of 2 MB");
  line.show("Fetching a: 2 of 2 MB");
  line[Symbol.dispose]();
  assertEquals(written, [
    "\r\x1b[KFetching a: 1 of 2 MB",
    "\r\x1b[KFetching a: 2 of 2 MB",
    "\r\x1b[K",
  ]);
});

Deno.test("ProgressLine that showed nothing leaves nothing behind", () => {
  const written: string[] = [];
  new ProgressLine(true, (text) => written.push(text))[Symbol.dispose]();
  assertEquals(written, []);
});

Deno.test(
  "say() goes on where stderr is a full pipe that nobody reads",
  libcRequirement(),
  async () => {
    const folder = await Deno.makeTempDir();
    const script = `mkfifo "$0/pipe" && exec 3<> "$0/pipe" && head -c 65536 /dev/zero >&3
timeout -s KILL 30 "$@" 2>&3`;
    const program = [Deno.execPath(), "run", "-A", "--no-check", MAIN, "boot", "--cpus=none"];
    const command = new Deno.Command("sh", { args: ["-c", script, folder, ...program] });
    const { code } = await command.output();
    await Deno.remove(folder, { recursive: true });
    assertEquals(code, 2);
  },
);
