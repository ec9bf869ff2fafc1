/** The program under signals that are nothing to it: a guest is asked for an answer after each. */

import { assertEquals } from "@std/assert";
import { writeGuests } from "./support/guest_kernel.ts";
import { pause } from "./support/pause.ts";
import { SOURCE } from "./support/program.ts";
import { requirement } from "./support/require.ts";

const FIXTURES = await Deno.makeTempDir({ prefix: "vireo-signals-" });
addEventListener("unload", () => Deno.removeSync(FIXTURES, { recursive: true }));
writeGuests(FIXTURES);

/** A guest that gives back what it reads on its serial port, which is on stdin and stdout, up to a `q`. */
class EchoRun implements AsyncDisposable {
  readonly process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;

  constructor() {
    const [program, ...args] = SOURCE.command;
    this.process = new Deno.Command(program, {
      args: [
        ...args,
        ..."run --memory 32M --console none --set serial.backend=stdio --kernel".split(" "),
        `${FIXTURES}/echo.img`,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.process.stdin.getWriter();
    this.#output = this.process.stdout.getReader();
  }

  /** Sends a letter, and gives what comes back. */
  async ask(letter: string): Promise<string> {
    await this.#input.write(new TextEncoder().encode(letter));
    const { value } = await this.#output.read();
    return new TextDecoder().decode(value);
  }

  /** Tells the guest to power off; gives the exit status. */
  async quit(): Promise<number> {
    await this.#input.write(new TextEncoder().encode("q"));
    return (await this.process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#output.cancel();
    await this.process.status;
  }
}

for (const signal of ["SIGWINCH", "SIGPIPE", "SIGCHLD", "SIGURG"] as const) {
  Deno.test(`vireo run goes on after ${signal}`, requirement("kvm"), async () => {
    await using run = new EchoRun();
    assertEquals(await run.ask("a"), "a");
    run.process.kill(signal);
    assertEquals(await run.ask("b"), "b");
    assertEquals(await run.quit(), 0);
  });
}

Deno.test(
  "vireo run goes on where it was after SIGSTOP and SIGCONT",
  requirement("kvm"),
  async () => {
    await using run = new EchoRun();
    assertEquals(await run.ask("a"), "a");
    for (const letter of ["b", "c"]) {
      run.process.kill("SIGSTOP");
      const answer = run.ask(letter);
      await pause(300);
      run.process.kill("SIGCONT");
      assertEquals(await answer, letter);
    }
    assertEquals(await run.quit(), 0);
  },
);

Deno.test("vireo run goes on when its input ends", requirement("kvm"), async () => {
  const [program, ...args] = SOURCE.command;
  const words = "run --memory 32M --console none --set serial.backend=stdio --timeout 3s --kernel";
  const { code, stdout } = await new Deno.Command(program, {
    args: [...args, ...words.split(" "), `${FIXTURES}/spin.img`],
    stdin: "null",
    stderr: "null",
  }).output();
  // 5: the guest was still there when the time was up.
  assertEquals([code, new TextDecoder().decode(stdout)], [5, "Ready\n"]);
});
