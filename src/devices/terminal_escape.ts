/**
 * The escape key of an interactive terminal: Ctrl-A and a second key talk to the monitor instead of to the guest.
 *
 * @module
 */

/** What the user asks of the monitor: `quit` ends the machine, `help` shows the keys. */
export type TerminalCommand = "quit" | "help";

/** What `help` shows; lines end as a raw terminal needs them. */
export const TERMINAL_HELP =
  "\r\nCtrl-A x  quit: end the machine at once\r\nCtrl-A h  this help\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n";

const CTRL_A = 0x01;
const COMMANDS: Readonly<Record<number, TerminalCommand>> = {
  0x78: "quit", // x
  0x58: "quit", // X
  0x68: "help", // h
  0x48: "help", // H
  0x3f: "help", // ?
};

/**
 * Takes escape sequences out of a terminal's input. A sequence may be split over any number of calls. Ctrl-A before a key
 * that means nothing is swallowed together with that key, as users of QEMU know it.
 */
export class TerminalEscape {
  readonly #onCommand: (command: TerminalCommand) => void;
  #escaped = false;

  /**
   * A filter at the start of its input.
   *
   * @param onCommand called for each command, in the order they were typed
   */
  constructor(onCommand: (command: TerminalCommand) => void) {
    this.#onCommand = onCommand;
  }

  /**
   * Filters in place.
   *
   * @param bytes what was typed; afterwards its start holds what the guest is to see
   * @param length how many of them were typed
   * @returns how many the guest is to see, at most `length`
   */
  filter(bytes: Uint8Array, length: number): number {
    let kept = 0;
    for (let i = 0; i < length; i++) {
      const byte = bytes[i] ?? 0;
      if (this.#escaped) {
        this.#escaped = false;
        if (byte === CTRL_A) bytes[kept++] = byte;
        else this.#command(byte);
      } else if (byte === CTRL_A) this.#escaped = true;
      else bytes[kept++] = byte;
    }
    return kept;
  }

  #command(key: number): void {
    const command = COMMANDS[key];
    if (command) this.#onCommand(command);
  }
}
