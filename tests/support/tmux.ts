/**
 * A real terminal with a shell on it: a tmux server of its own.
 *
 * @module
 */

import { pause } from "./pause.ts";

const PATIENCE = 60_000;

/** A pane of 100 × 30 with `sh`. */
export class TmuxShell implements AsyncDisposable {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * Starts the server.
   *
   * @param folder where its shell is, and its socket
   * @param shell what runs in the pane
   */
  static async start(folder: string, shell = "sh"): Promise<TmuxShell> {
    const tmux = new TmuxShell(`${folder}/${crypto.randomUUID()}.sock`);
    await tmux.#call(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      "100",
      "-y",
      "30",
      "-c",
      folder,
      shell,
    );
    return tmux;
  }

  /** Types a text, key names not looked for. */
  async type(text: string): Promise<void> {
    await this.#call("send-keys", "-l", "--", text);
  }

  /** Presses keys by tmux' names: `Enter`, `Tab`, `C-a`. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#call("send-keys", ...keys);
  }

  /** Types a line. */
  async enter(line: string): Promise<void> {
    await this.type(line);
    await this.press("Enter");
  }

  /** What the pane shows, without spaces at the ends of lines. */
  async screen(): Promise<string> {
    return await this.#call("capture-pane", "-p");
  }

  /** The same with the escape sequences of bold and colours. */
  async attributes(): Promise<string> {
    return await this.#call("capture-pane", "-p", "-e");
  }

  /** Waits until the pane shows a text. */
  async shows(text: string | RegExp): Promise<string> {
    return await eventually(async () => {
      const screen = await this.screen();
      const isThere = typeof text === "string" ? screen.includes(text) : text.test(screen);
      return isThere ? screen : undefined;
    }, async () => `The pane does not show ${text}:\n${await this.screen()}`);
  }

  /** A property of the pane by tmux' format: `#{cursor_flag}`. */
  async property(format: string): Promise<string> {
    return (await this.#call("display-message", "-p", format)).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = await this.property("#{pid}");
    await this.#call("kill-server");
    // It goes on for a moment, in the test's folder.
    const isGone = () => Deno.stat(`/proc/${server}`).then(() => undefined, () => true);
    await eventually(isGone, () => "The tmux server does not end");
  }

  async #call(...args: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-S", this.#socket, ...args],
      env: { TERM: "xterm", LC_ALL: "C.UTF-8", TMUX: "" },
    }).output();
    if (success) return new TextDecoder().decode(stdout);
    throw new Error(`Cannot tmux ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** Asks again and again until there is an answer. */
export async function eventually<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  otherwise: () => Promise<string> | string,
): Promise<T> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await pause(10);
  }
  throw new Error(await otherwise());
}
