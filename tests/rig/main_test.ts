/** The rig as a program, and what it leaves behind when it is ended while it starts. */

import { assertEquals, assertMatch } from "@std/assert";
import { pause } from "../support/pause.ts";
import { requirement } from "../support/require.ts";

const SOURCE = new URL("../../src/", import.meta.url).pathname;
/** `main.ts` of the rig on its own, and `boot` that starts one. */
const PROGRAMS = {
  "the rig": [`${SOURCE}rig/main.ts`, "--", "true"],
  "boot --rig=always": [`${SOURCE}main.ts`, "boot", "--rig=always", "--exec", "true"],
} as const;

/** A program of ours whose temporary files lie in a folder of its own. */
class Program implements AsyncDisposable {
  readonly temporary: string = Deno.makeTempDirSync({ prefix: "vireo-test-" });
  readonly #child: Deno.ChildProcess;
  #isOver = false;

  constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", ...args],
      env: { TMPDIR: this.temporary, NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    void this.#child.status.then(() => this.#isOver = true);
  }

  /** Names of the temporary files that there are. */
  get files(): string[] {
    return Array.from(Deno.readDirSync(this.temporary), ({ name }) => name);
  }

  /** Waits until QEMU has been started, and gives its process id. */
  async qemu(): Promise<number> {
    while (!this.#isOver) {
      const [folder] = this.files.filter((name) => name.startsWith("vireo-rig-"));
      const pid = folder && processWith(`${this.temporary}/${folder}/agent.sock`);
      if (pid) return pid;
      await pause(20);
    }
    throw new Error(`No QEMU: ${(await this.end()).stderr}`);
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async end(): Promise<{ readonly code: number; readonly stderr: string }> {
    const { code, stderr } = await this.#child.output();
    return { code, stderr: new TextDecoder().decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.temporary, { recursive: true });
  }
}

/** The process that has a text in one of its arguments. */
function processWith(text: string): number | undefined {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (/^\d+$/.test(name) && commandLine(name).includes(text)) return Number(name);
  }
  return undefined;
}

function commandLine(process: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${process}/cmdline`);
  } catch {
    return "";
  }
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

for (const [what, args] of Object.entries(PROGRAMS)) {
  for (const [signal, number] of Object.entries(SIGNALS)) {
    Deno.test(
      `${what} ends with 128 + ${number} on ${signal} while the rig starts, and leaves nothing`,
      requirement("qemu", "xz"),
      async () => {
        await using program = new Program(args);
        const qemu = await program.qemu();
        program.kill(signal as Deno.Signal);
        const { code, stderr } = await program.end();
        assertEquals(code, 128 + number, stderr);
        assertMatch(stderr, new RegExp(`Ended by ${signal}\n$`));
        assertEquals(program.files, []);
        assertEquals(commandLine(`${qemu}`), "");
      },
    );
  }
}

Deno.test("the rig's program knows its verbs alone", async () => {
  await using program = new Program([`${SOURCE}rig/main.ts`, "constructor"]);
  const { code, stderr } = await program.end();
  assertEquals(code, 2);
  assertMatch(stderr, /^Runs commands in the rig/);
});
