/**
 * What Vireo itself says to the user: on stderr, apart from the guest's output.
 *
 * @module
 */

import { errorText, stdoutText, VireoError } from "../base/errors.ts";
import { SharedStream } from "../host/tty.ts";

/** Says a line, or several, on stderr. A stderr that nobody reads loses them. */
export function say(text: string): void {
  // On a terminal that is a guest's newlines are taken as they are; on any other the return changes nothing.
  const newline = Deno.stderr.isTerminal() ? "\r\n" : "\n";
  toStderr(`${text}\n`.replaceAll("\n", newline));
}

/**
 * Prints what was asked for on stdout, all of it, and gives the exit status 0.
 *
 * @throws VireoError `environment` where stdout does not take it
 */
export function print(text: string): number {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  } catch (error) {
    throw new VireoError("environment", stdoutText(errorText(error)), { cause: error });
  }
  return 0;
}

/** Prints a help text: on a terminal with its headings, options and statuses marked. */
export function printHelp(text: string): number {
  return print(hasColor(Deno.stdout) ? markHelp(text) : text);
}

/** Whether a stream is a terminal that may be coloured: NO_COLOR (no-color.org) and TERM=dumb say no. */
export function hasColor(stream: { isTerminal(): boolean }): boolean {
  return stream.isTerminal() && !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb";
}

/** A help text with bold headings, and what stands at the left of its rows bold as well. */
export function markHelp(text: string): string {
  return text.replace(/^(Usage|[A-Z][\w ]*(?=:$))|^ {2}\S+(?= )/gm, "\x1b[1m$&\x1b[0m");
}

/** A line that tells how something long gets on: rewritten in place on a terminal, a line a step elsewhere. */
export class ProgressLine implements Disposable {
  readonly #inPlace: boolean;
  readonly #write: (text: string) => void;
  #step = "";

  /**
   * @param inPlace whether it goes to a terminal
   * @param write takes what is to be shown; tests put their own here
   */
  constructor(
    inPlace: boolean = Deno.stderr.isTerminal(),
    write: (text: string) => void = toStderr,
  ) {
    this.#inPlace = inPlace;
    this.#write = write;
  }

  /** Shows a line; text before a colon names the step. */
  readonly show = (line: string): void => {
    const step = line.split(":")[0] ?? "";
    if (this.#inPlace) this.#write(`\r\x1b[K${line}`);
    else if (step !== this.#step) this.#write(`${line}\n`);
    this.#step = step;
  };

  /** Takes the line away. */
  [Symbol.dispose](): void {
    if (this.#inPlace && this.#step !== "") this.#write("\r\x1b[K");
  }
}

const STDERR = 2;
/** How long a pipe that nobody empties holds us up, in ms: what ends a run must not wait for its readers. */
const PATIENCE = 500;

function toStderr(text: string): void {
  try {
    using stream = SharedStream.of(STDERR);
    stream.writeAll(new TextEncoder().encode(text), PATIENCE);
  } catch {
    // There is nowhere left to complain to.
  }
}
