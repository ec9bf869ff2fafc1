/**
 * What a described console and serial port are connected to, opened.
 *
 * @module
 */

import { O_CREAT, O_TRUNC, O_WRONLY } from "../abi/linux.ts";
import { ConfigError, errorText } from "../base/errors.ts";
import type { Description, SerialBackend } from "../config/description.ts";
import type { Backends } from "../config/machine_of.ts";
import { Fd } from "../host/fd.ts";
import { Pty } from "../host/pty.ts";
import type { TerminalSize } from "../host/tty.ts";
import { UnixListener } from "../host/unix_socket.ts";

/** Opened backends; what was opened is closed on dispose. */
export interface OpenBackends extends Backends, Disposable {
  /** Pseudo-terminals by what is on them: `console`, `serial`. */
  readonly ptys: { readonly [what: string]: string };
}

/** What of the user's terminal a console on it needs to know. */
export interface TerminalView {
  /** Whether keys come from a terminal: then Ctrl-A is ours. */
  readonly hasKeys: boolean;
  readonly size: TerminalSize;
}

/** Two ends of a stream; -1 for none. */
interface Ends {
  readonly input: number;
  readonly output: number;
  readonly listener?: number;
}

const NONE: Ends = { input: -1, output: -1 };
const STDIO: Ends = { input: 0, output: 1 };

/**
 * Opens what a description names.
 *
 * @param terminal ours, where console or serial port are on it
 */
export function openBackends(
  { console, serial }: Pick<Description, "console" | "serial">,
  terminal: TerminalView | undefined,
): OpenBackends {
  using stack = new DisposableStack();
  const ptys: Record<string, string> = {};
  const open = (key: string, backend: SerialBackend, path: string | undefined): Ends => {
    switch (backend) {
      case "none":
      case "log":
        return NONE;
      case "stdio":
        return STDIO;
      case "file":
        return { input: -1, output: stack.use(openOutput(key, path ?? "")).number };
      case "unix":
        return { ...NONE, listener: stack.use(openListener(key, path ?? "")).fd.number };
      case "pty": {
        const pty = stack.use(Pty.open());
        ptys[key] = pty.path;
        return { input: pty.master.number, output: pty.master.number };
      }
      default:
        throw backend satisfies never;
    }
  };
  const isOurs = console.backend === "stdio" && terminal !== undefined;
  const size = isOurs ? terminal.size : { columns: 80, rows: 24 };
  const escape = isOurs && terminal.hasKeys;
  const consoleEnds = open("console", console.backend, console.path);
  const serialEnds = open("serial", serial.backend, serial.path);
  const owned = stack.move();
  return {
    console: console.backend === "none" ? null : { ...consoleEnds, escape, ...size },
    serial: serial.backend === "none" ? null : serialEnds,
    ptys,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function openListener(key: string, path: string): UnixListener {
  try {
    return UnixListener.open(path);
  } catch (error) {
    throw new ConfigError(`${key}.path`, errorText(error), { cause: error });
  }
}

function openOutput(key: string, path: string): Fd {
  try {
    // bits: flags of open
    return Fd.open(path, O_WRONLY | O_CREAT | O_TRUNC);
  } catch (error) {
    throw new ConfigError(`${key}.path`, errorText(error), { cause: error });
  }
}
